/**
 * `node:http`, loaded without `import`: an import evaluates all its exports, among them `WebSocket`, for which Node loads its
 * own undici. That takes 15 MiB and 50 ms.
 */
export const http = process.getBuiltinModule('node:http');
