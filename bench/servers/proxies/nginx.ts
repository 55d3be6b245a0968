import { join } from 'node:path';
import { KIB } from '../content.ts';

const BASICS = `daemon off;
worker_processes 1;
error_log stderr error;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 12000; }
`;

const HTTP_BASICS = `access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;`;

/**
 * nginx as the service: as cheap an upstream as there is. `directory` holds the file `mib` and the folder `bytes`. With
 * several addresses it can be that many replicas.
 */
export function upstreamConfig(addresses: readonly string[], directory: string): string {
  return `${BASICS}pid ${join(directory, 'upstream.pid')};
http {
  ${HTTP_BASICS}
  sendfile on;
  server {
    ${addresses.map((address) => `listen ${address};`).join('\n    ')}
    default_type application/json;
    root ${directory};
    client_body_buffer_size 2m;
    location = /mib { }
    location /bytes/ { }
    # 'return' alone would answer before it has read the content; 'mirror' reads it first.
    location /posted { log_not_found off; mirror /sink; error_page 404 405 =200 @answer; }
    location = /sink { internal; return 204; }
    location @answer { return 200 '${KIB}'; }
    location /unstored { add_header Cache-Control no-store; return 200 '${KIB}'; }
    location / { return 200 '${KIB}'; }
  }
}
`;
}

/** nginx as a peer. */
export function proxyConfig(port: number, upstream: string, echo: string, directory: string): string {
  return `${BASICS}pid ${join(directory, 'proxy.pid')};
http {
  ${HTTP_BASICS}
  upstream budgeting { server ${upstream}; keepalive 100; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    location /budgeting/ { proxy_pass http://budgeting/; proxy_set_header Connection ''; }
    location /echo/ {
      proxy_pass http://${echo}/;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }
  }
}
`;
}
