#!/bin/sh
# Makes the secrets that docker-compose.yaml reads, 48 random bytes each. It prints no secret and overwrites none.
#
# Compose mounts each file as it is, and each container reads it as a user of its own (1000, 999, 472). So the files are
# readable for everybody, and the directory is closed to everybody but its owner: who else works on this machine
# cannot reach them. Both are set anew each time, whatever the umask was.
set -eu
umask 077
cd "$(dirname "$0")/.."
mkdir -p secrets
chmod 700 secrets

for name in jwt_secret redis_password grafana_password; do
  file=secrets/$name.txt
  if [ -d "$file" ]; then
    # An engine makes a directory where the file that it is to mount is missing.
    echo "$file is a directory. Remove it, and run this again." >&2
    exit 1
  fi
  if [ -e "$file" ]; then
    done=kept
  else
    # noclobber: of two that run at once, the second fails instead of changing what the first has made.
    (set -C && head -c 48 /dev/urandom | base64 >"$file")
    done=made
  fi
  if ! grep -q . "$file"; then
    echo "$file is empty. Remove it, and run this again." >&2
    exit 1
  fi
  chmod 644 "$file"
  echo "$file: $done"
done
