/** HAProxy as a peer. */
export function config(port: number, upstream: string, echo: string): string {
  return `global
  nbthread 1
  maxconn 2000
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend external
  bind 127.0.0.1:${port}
  use_backend echo if { path_beg /echo/ }
  default_backend budgeting
backend budgeting
  http-request replace-path /budgeting(/.*) \\1
  server one ${upstream}
backend echo
  http-request replace-path /echo(/.*) \\1
  server one ${echo}
`;
}
