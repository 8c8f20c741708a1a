#!/usr/bin/env bash
# Grants application permissions to the managed identity that Mailroom runs as, so that its accounts need no secret.
# Run again, it changes only what is missing.
#
#   grant-managed-identity.sh --principal-id ID [options]
#
#   --principal-id ID     object id of the identity: MAILROOM_IDENTITY_PRINCIPAL_ID of the deployment
#   --permissions LIST    default Mail.ReadWrite,Mail.Send; of Mail.Read, Mail.ReadWrite, Mail.Send,
#                         IMAP.AccessAsApp, POP.AccessAsApp, SMTP.SendAsApp
#   --scoped              grants nothing of Microsoft Graph in Entra ID: scope-mailboxes.ps1 does, for chosen mailboxes
#   --dry-run             says what would be done, and writes nothing
#
# Signed in to az must be somebody who may grant permissions (Privileged Role Administrator).
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

principal_id='' permissions=Mail.ReadWrite,Mail.Send scoped=false
while [ $# -gt 0 ]; do
  case $1 in
    --scoped) scoped=true ;;
    --dry-run) dry_run=true ;;
    --help | -h)
      usage "$0"
      exit 0
      ;;
    --principal-id | --permissions)
      [ $# -ge 2 ] || fail "$1 needs a value"
      name=${1#--}
      printf -v "${name//-/_}" '%s' "$2"
      shift
      ;;
    *) fail "unknown option $1; --help lists those there are" ;;
  esac
  shift
done
[[ $principal_id =~ ^[0-9a-fA-F-]{36}$ ]] || fail '--principal-id must be the object id of a managed identity'

make_work_folder
one account show --query tenantId >/dev/null || fail 'az is not signed in: az login'
# A person's or an application's id is easily taken for it.
kind=$(one ad sp show --id "$principal_id" --query servicePrincipalType) || fail "there is no service principal $principal_id"
[ "$kind" = ManagedIdentity ] || fail "$principal_id is of type $kind and not a managed identity"
client_id=$(one ad sp show --id "$principal_id" --query appId)

give "$principal_id" "$permissions" "$scoped"

cat <<TEXT

The credential of an account that signs in as this identity:
  { "type": "managedIdentity", "clientId": "$client_id" }
Object id, which Exchange asks for:
  $principal_id
TEXT
