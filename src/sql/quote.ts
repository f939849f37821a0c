/** An identifier in double quotes, always: quoting a name that needs none changes nothing. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
