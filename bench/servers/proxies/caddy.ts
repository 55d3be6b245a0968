/** Caddy as a peer. */
export function config(port: number, upstream: string, echo: string): string {
  return `{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  handle_path /budgeting/* {
    reverse_proxy ${upstream} {
      transport http {
        keepalive_idle_conns_per_host 100
      }
    }
  }
  handle_path /echo/* {
    reverse_proxy ${echo}
  }
}
`;
}
