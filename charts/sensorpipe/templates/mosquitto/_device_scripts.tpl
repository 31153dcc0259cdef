{{/*
What the broker's pod runs if devices have users of their own. Mosquitto reads certificate and
passwords when it starts, so it is restarted when they change: on SIGHUP it would read them, too, but
then drops what comes for a session that it has loaded from disk and that has not connected again.
*/}}

{{/* A function that prints what changes with the files of devices. */}}
{{- define "sensorpipe.deviceFiles" -}}
files() {
  for file in /source/tls/* /source/users/* /source/password-file/*; do
    [ ! -f "$file" ] || { echo "$file"; cat "$file"; }
  done | sha256sum
}
{{- end -}}

{{/* Writes all files of the broker, or none: those before stay if one of the new ones is wrong. */}}
{{- define "sensorpipe.devicePrepare" -}}
set -eu
umask 077
new=/run/mosquitto/new
{{ include "sensorpipe.deviceFiles" . }}
rm -rf "$new"
mkdir "$new"
files >"$new/seen"
cp /source/config/mosquitto.conf /source/config/acl "$new"

# plain USER FILE
plain() {
  password=$(cat "$2")
  case $password in
    '' | *[:[:space:]]*) echo "the password of $1 is empty, or has a colon or white space" >&2; exit 1 ;;
  esac
  printf '%s:%s\n' "$1" "$password" >>"$new/passwords"
}
for role in generator compactor; do
  plain "$role" "/source/passwords/$role-password"
done
for file in /source/users/*; do
  [ ! -f "$file" ] || plain "${file##*/}" "$file"
done
: >"$new/hashed"
if [ -f /source/password-file/passwords ]; then
  awk -F: -v new="$new" -f /source/config/users.awk \
    /source/config/device-topics "$new/passwords" /source/password-file/passwords
fi
mosquitto_passwd -U "$new/passwords"
cat "$new/hashed" >>"$new/passwords"

# with a certificate or key that is wrong the broker would not start, for generators either
cp /source/tls/tls.crt /source/tls/tls.key "$new"
cat >"$new/trial.conf" <<END
listener 18883 127.0.0.1
allow_anonymous false
certfile $new/tls.crt
keyfile $new/tls.key
END
timeout 1 mosquitto -c "$new/trial.conf" >"$new/log" 2>&1 && status=0 || status=$?
case $status in
  0 | 124 | 143) ;; # it ran until it was stopped
  *) echo "tls.crt and tls.key cannot be used: $(cat "$new/log")" >&2; exit 1 ;;
esac
rm "$new/trial.conf" "$new/log" "$new/hashed"
mv "$new"/* /run/mosquitto/
rmdir "$new"
{{- end -}}

{{/* Reads the names in a file of passwords, and writes passwords and rules for them. */}}
{{- define "sensorpipe.deviceUsers" -}}
{{- $id := .Values.compactor.clientId -}}
function refuse(what) {
  print "line " FNR " of the password file: " what >"/dev/stderr"
  failed = 1
  exit 1
}
BEGIN { taken[{{ regexMatch "^[a-z0-9_-]+$" $id | ternary $id "compactor" | quote }}] }
{{- range .Values.compactor.shards }}
{{- $own := include "sensorpipe.compactorOwnName" (list $ .) }}
{{- if regexMatch "^[a-z0-9_-]+$" $own }}
BEGIN { taken[{{ quote $own }}] }
{{- end }}
{{- end }}
FNR == 1 { file++ }
file == 1 { topics[++count] = $0; next }
file == 2 { taken[$1]; next }
{ sub(/\r$/, "") }
/^[ \t]*(#|$)/ { next }
NF != 2 { refuse("not USER:PASSWORD") }
$1 !~ /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/ || length($1) > 63 {
  refuse("a user has 1 to 63 lower-case letters, digits, - or _, and begins and ends with a letter or digit")
}
$1 in taken { refuse("the user " $1 " exists already") }
$2 == "" || $2 ~ /[ \t]/ { refuse("the password is empty or has white space") }
{
  taken[$1]
  print >>(new ($2 ~ /^\$[67]\$/ ? "/hashed" : "/passwords"))
  print "\nuser " $1 >>(new "/acl")
  for (i = 1; i <= count; i++) {
    topic = topics[i]
    gsub(/%u/, $1, topic)
    print "topic write " topic >>(new "/acl")
  }
}
END { exit failed }
{{- end -}}

{{/* Runs the broker until it is stopped. */}}
{{- define "sensorpipe.deviceRun" -}}
cd /run/mosquitto
rm -f again
{{ include "sensorpipe.deviceFiles" . }}
restart_on_change() {
  tried=
  while sleep 5; do
    now=$(files)
    if [ "$now" = "$(cat seen)" ] || [ "$now" = "$tried" ]; then continue; fi
    sleep 1
    [ "$now" = "$(files)" ] || continue # still changing
    tried=$now
    if sh /source/config/prepare.sh; then
      echo "certificate or passwords of devices have changed: restarting the broker" >&2
      touch again
      kill "$(cat pid)"
    else
      echo "the broker continues with the certificate and passwords it has" >&2
    fi
  done
}
restart_on_change &
watcher=$!
end=
broker=
trap 'end=yes; [ ! "$broker" ] || kill "$broker" 2>/dev/null' TERM INT
while [ ! "$end" ]; do
  mosquitto -c /run/mosquitto/mosquitto.conf &
  broker=$!
  echo "$broker" >pid
  [ ! "$end" ] || kill "$broker"
  wait "$broker"
  status=$?
  if [ "$end" ]; then wait "$broker"; status=$?; fi # saving the queue
  if [ "$end" ] || [ ! -f again ]; then break; fi
  rm again
done
kill "$watcher"
exit "$status"
{{- end -}}
