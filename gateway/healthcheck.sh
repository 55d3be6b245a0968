# Whether the gateway on this machine is ready for its services, as an exit code of 0 or 1: what the image's HEALTHCHECK runs.
# It asks /readyz on the internal port, which takes plain HTTP whatever the other one is set to. Bash speaks TCP by
# itself: a second Node would take fifty times as much CPU, and more memory than may be left.

host=${INTERNAL_HOST:-127.0.0.1}
case $host in '::' | 0.0.0.0) host=127.0.0.1 ;; esac

# A gateway that hangs may answer neither the connection nor the request.
ask() {
  exec 3<>"/dev/tcp/$host/${INTERNAL_PORT:-8001}" || return
  printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
  IFS= read -r line <&3 && printf '%s\n' "${line%$'\r'}"
}

# So a process of its own asks, for two seconds at the most. Nobody but this one would ever ask how it ended.
IFS= read -r -t 2 status < <(ask 2>&1)
{ kill -KILL $!; wait $!; } 2>/dev/null
printf '%s\n' "${status:-no response within 2 s}"
[[ $status == 'HTTP/1.1 200 '* ]]
