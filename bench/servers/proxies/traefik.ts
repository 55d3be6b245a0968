/** Traefik as a peer: what it is started with. JSON is YAML. */
export function config(port: number): string {
  return JSON.stringify({
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: 'ERROR' },
    entryPoints: { external: { address: `127.0.0.1:${port}` } },
    serversTransport: { maxIdleConnsPerHost: 100 },
    providers: { file: { filename: 'routes.yml' } },
  });
}

/** Its routes, which it reads from a file of their own. */
export function routes(upstream: string, echo: string): string {
  const services = Object.entries({ budgeting: upstream, echo });
  const each = <T>(part: (name: string, address: string) => T) =>
    Object.fromEntries(services.map(([name, address]) => [name, part(name, address)]));
  return JSON.stringify({
    http: {
      routers: each((name) => ({
        rule: `PathPrefix(\`/${name}/\`)`,
        middlewares: [name],
        service: name,
      })),
      middlewares: each((name) => ({ stripPrefix: { prefixes: [`/${name}`] } })),
      services: each((_, address) => ({ loadBalancer: { servers: [{ url: `http://${address}` }] } })),
    },
  });
}
