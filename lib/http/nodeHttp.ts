/**
 * `node:http`, without what an `import` of it brings along: Node then evaluates all it exports, and for the sake of
 * `WebSocket` loads its own undici, which takes 15 MiB and 50 ms.
 */
export const http = process.getBuiltinModule('node:http');
