/** Paths and what they take; a test compares the table with the routes that are registered. */
export const pathTable: readonly { readonly path: RegExp; readonly methods: readonly string[] }[] =
  [
    { path: /^\/(?:livez|readyz|startupz|metrics)$/, methods: ["GET", "HEAD"] },
    { path: /^\/v1\/openapi\.json$/, methods: ["GET", "HEAD"] },
    { path: /^\/v1\/relations$/, methods: ["GET", "HEAD"] },
    { path: /^\/-\/reload$/, methods: ["POST"] },
    { path: /^\/v1\/status$/, methods: ["GET", "HEAD"] },
    { path: /^\/v1\/invalidations$/, methods: ["GET", "HEAD", "POST"] },
    { path: /^\/v1\/invalidations\/[^/]+$/, methods: ["GET", "HEAD"] },
  ]

/** Methods for the Allow header (RFC 9110, 10.2.1); empty when the path does not exist. */
export function allowedMethods(url: string): readonly string[] {
  const [path = ""] = url.split("?", 1)
  return pathTable.find((entry) => entry.path.test(path))?.methods ?? []
}
