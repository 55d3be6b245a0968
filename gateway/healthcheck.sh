# Whether the gateway on this machine is ready for its services, as an exit code of 0 or 1: what the image's HEALTHCHECK runs.
# It asks /readyz on the internal port, which takes plain HTTP whatever the other one is set to. Bash speaks TCP by
# itself: a second Node would take fifty times as much CPU, and more memory than may be left.

# The gateway ignores white space around a value, such as the carriage return at the end of a line from Windows.
host=${INTERNAL_HOST//[[:space:]]/} port=${INTERNAL_PORT//[[:space:]]/}
host=${host:-127.0.0.1}
case $host in '::' | 0.0.0.0) host=127.0.0.1 ;; esac

# A gateway that hangs may answer neither the connection nor the request.
ask() {
  exec 3<>"/dev/tcp/$host/${port:-8001}" || return
  printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
  IFS= read -r -t 2 line <&3 && printf '%s\n' "${line%$'\r'}"
}

# So a process of its own asks, for two seconds at the most. Nobody but this one would ever ask how it ended.
# It has a limit of its own as well: an engine whose timeout passes first kills only this one.
IFS= read -r -t 2 status < <(ask 2>&1)
{ kill -KILL $!; wait $!; } 2>/dev/null
printf '%s\n' "${status:-no response within 2 s}"
[[ $status == 'HTTP/1.1 200 '* ]]
