# Whether the stand-in on port $1 of this machine answers GET /health with 200, as an exit code: bash playground/healthcheck.sh 8080
# bash opens the connection itself: a second Node for each check would cost more than the stand-in does.
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
printf 'GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 2 _ status _ <&3
[ "$status" = 200 ]
