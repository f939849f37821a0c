# Two stages: the first compiles and installs, the second holds what runs. The image takes Node from its base; the per-platform
# Node packages that npm installs for older machines are left out.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
# node_modules/.bin/node would win over the image's own Node in npm scripts, so tsc is called directly.
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json
RUN npm prune --omit=dev --ignore-scripts \
 && rm -rf node_modules/node-linux-* node_modules/node-win-* node_modules/node-darwin-* node_modules/node-bin-* node_modules/.bin

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY bin ./bin
COPY LICENSE ./
USER node
EXPOSE 6432 6480
# Works when control.host is 0.0.0.0 or 127.0.0.1 and control.port is the default one.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:6480/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "bin/sluice.cjs"]
CMD ["serve", "--config", "/etc/sluice/sluice.yaml"]
