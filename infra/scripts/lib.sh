# shellcheck shell=bash
# What the scripts in this folder share. It is sourced, never run.
set -euo pipefail

# Application ids that are the same in every tenant
# (https://learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in).
graph_app=00000003-0000-0000-c000-000000000000
exchange_app=00000002-0000-0ff1-ce00-000000000000

dry_run=false

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Prints the comment at the top of a script: its usage.
usage() {
  sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$1"
}

# A folder for files that only this user can read; it is gone when the script ends, however it ends.
make_work_folder() {
  umask 077
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
}

# change WHAT COMMAND...: says what is changed and does it; in a dry run only says it.
change() {
  local what=$1
  shift
  if $dry_run; then
    printf 'would    %s\n' "$what"
  else
    printf 'changing %s\n' "$what"
    "$@"
  fi
}

kept() {
  printf 'as it is %s\n' "$*"
}

# az prints a null as None, or not at all.
one() {
  local value
  value=$(az "$@" --only-show-errors --output tsv) || return 1
  [ "$value" = None ] || printf '%s' "$value"
}

# What was just made in Entra ID is not known everywhere at once: for half a minute "not there" is tried again.
eventually() {
  local tries=0
  until "$@" 2>"$work/trouble"; do
    tries=$((tries + 1))
    if [ "$tries" -ge 6 ] || ! grep -qiE 'not (found|exist)|does not (exist|reference)|ResourceNotFound' "$work/trouble"; then
      cat "$work/trouble" >&2
      return 1
    fi
    sleep "${RETRY_SECONDS:-5}"
  done
}

# The API that has a permission, by the permission's name.
api_of() {
  case $1 in
    Mail.Read | Mail.ReadWrite | Mail.Send) echo "$graph_app" ;;
    IMAP.AccessAsApp | POP.AccessAsApp | SMTP.SendAsApp) echo "$exchange_app" ;;
    *) fail "permission $1 is none that Mailroom uses: Mail.Read, Mail.ReadWrite, Mail.Send, IMAP.AccessAsApp, POP.AccessAsApp, SMTP.SendAsApp" ;;
  esac
}

# Microsoft Graph of the cloud that az is signed in to.
graph_url() {
  local url
  url=$(one cloud show --query endpoints.microsoftGraphResourceId) || return 1
  printf '%s/v1.0' "${url%/}"
}

# assignment PRINCIPAL PERMISSION: the id of the grant, nothing where there is none. Sets resource_id and role_id.
assignment() {
  local principal=$1 permission=$2 api
  api=$(api_of "$permission")
  resource_id=$(one ad sp show --id "$api" --query id) || fail "the tenant has no service principal for $api"
  role_id=$(one ad sp show --id "$api" --query "appRoles[?value=='$permission'].id | [0]")
  [ -n "$role_id" ] || fail "$api has no application permission $permission in this cloud"
  assignment_id=$(one rest --method get --url "$(graph_url)/servicePrincipals/$principal/appRoleAssignments" \
    --query "value[?appRoleId=='$role_id' && resourceId=='$resource_id'].id | [0]")
}

# grant PRINCIPAL PERMISSION: gives an application permission to a service principal, with consent: an app role
# assignment is both (https://learn.microsoft.com/graph/api/serviceprincipal-post-approleassignments).
grant() {
  local principal=$1 permission=$2
  if [ -z "$principal" ]; then
    change "grant $permission to the new application" true
    return
  fi
  assignment "$principal" "$permission"
  if [ -n "$assignment_id" ]; then
    kept "$permission is granted"
    return
  fi
  change "grant $permission" eventually az rest --method post \
    --url "$(graph_url)/servicePrincipals/$principal/appRoleAssignments" \
    --headers Content-Type=application/json \
    --body "{\"principalId\":\"$principal\",\"resourceId\":\"$resource_id\",\"appRoleId\":\"$role_id\"}" \
    --only-show-errors --output none
}

# refuse_unscoped PRINCIPAL PERMISSION: a grant in Entra ID holds for every mailbox and adds to what Exchange grants for
# some, so that a scope would be none (https://learn.microsoft.com/exchange/permissions-exo/application-rbac).
refuse_unscoped() {
  local principal=$1 permission=$2
  [ -n "$principal" ] || return 0
  assignment "$principal" "$permission"
  [ -z "$assignment_id" ] || fail "$permission is granted in Entra ID, for every mailbox of the tenant; a scope would change nothing. Take it back first:
  az rest --method delete --url $(graph_url)/servicePrincipals/$principal/appRoleAssignments/$assignment_id"
}

# give PRINCIPAL PERMISSIONS SCOPED: grants each of a comma-separated list; those of Microsoft Graph only where Exchange
# is not to grant them for chosen mailboxes.
give() {
  local principal=$1 scoped=$3 permission api
  local -a wanted
  IFS=, read -ra wanted <<<"$2"
  for permission in "${wanted[@]}"; do
    api=$(api_of "$permission")
    if $scoped && [ "$api" = "$graph_app" ]; then
      refuse_unscoped "$principal" "$permission"
      printf 'left     %s to scope-mailboxes.ps1\n' "$permission"
    else
      grant "$principal" "$permission"
    fi
  done
}
