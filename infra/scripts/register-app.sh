#!/usr/bin/env bash
# Registers an application in Entra ID for one account of Mailroom, grants what it may do, and puts its credential into
# Key Vault without showing it. Run again, it changes only what is missing.
#
#   register-app.sh --account NAME --vault VAULT [options]
#
#   --account NAME        the account in Mailroom; names of its secrets begin with it
#   --vault VAULT         name of the Key Vault that Mailroom reads
#   --credential KIND     secret (default) or certificate
#   --permissions LIST    default Mail.ReadWrite,Mail.Send; of Mail.Read, Mail.ReadWrite, Mail.Send,
#                         IMAP.AccessAsApp, POP.AccessAsApp, SMTP.SendAsApp
#   --scoped              grants nothing of Microsoft Graph in Entra ID: scope-mailboxes.ps1 does, for chosen mailboxes
#   --display-name NAME   of the application; default "Mailroom NAME"
#   --secret NAME         in Key Vault; default NAME-client-secret or NAME-client-certificate
#   --years N             how long the credential holds; default 1
#   --rotate              makes a new credential although there is one; the old one goes on until it is deleted
#   --dry-run             says what would be done, and writes nothing
#
# Signed in to az must be somebody who may register applications and grant permissions (Privileged Role Administrator)
# and write to the vault (Key Vault Secrets Officer; for a certificate Key Vault Certificates Officer).
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

account='' vault='' credential=secret permissions=Mail.ReadWrite,Mail.Send scoped=false
display_name='' secret='' years=1 rotate=false
while [ $# -gt 0 ]; do
  case $1 in
    --scoped) scoped=true ;;
    --rotate) rotate=true ;;
    --dry-run) dry_run=true ;;
    --help | -h)
      usage "$0"
      exit 0
      ;;
    --account | --vault | --credential | --permissions | --display-name | --secret | --years)
      [ $# -ge 2 ] || fail "$1 needs a value"
      name=${1#--}
      printf -v "${name//-/_}" '%s' "$2"
      shift
      ;;
    *) fail "unknown option $1; --help lists those there are" ;;
  esac
  shift
done

[[ $account =~ ^[a-z0-9][a-z0-9-]{0,31}$ ]] || fail '--account must be the name of an account'
[[ $vault =~ ^[A-Za-z0-9-]{3,24}$ ]] || fail '--vault must be the name of a Key Vault'
[[ $credential == secret || $credential == certificate ]] || fail '--credential must be secret or certificate'
[[ $years =~ ^[1-9]$ ]] || fail '--years must be 1 to 9'
display_name=${display_name:-Mailroom $account}
[[ $display_name =~ ^[A-Za-z0-9\ ._-]{1,100}$ ]] || fail '--display-name must be letters, digits, spaces, dots and dashes'
secret=${secret:-$account-client-$credential}
[[ $secret =~ ^$account-[A-Za-z0-9-]+$ ]] || fail "--secret must begin with \"$account-\""

make_work_folder
tenant=$(one account show --query tenantId) || fail 'az is not signed in: az login'

# 1. The application, and its service principal: the enterprise application of this tenant.
# az ad app create would change an application that has the name already, so that it is looked for first.
count=$(one ad app list --filter "displayName eq '$display_name'" --query 'length(@)')
[ "${count:-0}" -le 1 ] || fail "$count applications are called \"$display_name\"; choose another --display-name"
client_id=$(one ad app list --filter "displayName eq '$display_name'" --query '[0].appId')
make_app() {
  client_id=$(one ad app create --display-name "$display_name" --sign-in-audience AzureADMyOrg --query appId)
}
if [ -n "$client_id" ]; then
  kept "application \"$display_name\""
else
  change "make application \"$display_name\"" make_app
fi

principal=''
[ -z "$client_id" ] || principal=$(one ad sp list --filter "appId eq '$client_id'" --query '[0].id')
make_principal() {
  eventually az ad sp create --id "$client_id" --only-show-errors --output none
  principal=$(one ad sp list --filter "appId eq '$client_id'" --query '[0].id')
  [ -n "$principal" ] || fail 'the enterprise application is not to be seen yet; run this again in a minute'
}
if [ -n "$principal" ]; then
  kept 'its enterprise application'
else
  change 'make its enterprise application' make_principal
fi

# 2. What it may do.
give "$principal" "$permissions" "$scoped"

# 3. The credential. Its value passes through a file of this user alone, never through arguments or output.
# Key ids say whether what is in the vault belongs to this application.
vault_query() {
  local found
  if found=$(az keyvault "$1" show --vault-name "$vault" --name "$secret" --query "$2" --only-show-errors --output tsv 2>"$work/trouble"); then
    [ "$found" = None ] || printf '%s' "$found"
  elif grep -qE '(Secret|Certificate)NotFound' "$work/trouble"; then
    printf 'missing'
  else
    cat "$work/trouble" >&2
    return 1
  fi
}

credential_query() {
  if [ -n "$client_id" ]; then one ad app credential list --id "$client_id" "$@"; fi
}

named_key() {
  key_id=$(credential_query --query "[?displayName=='$1'].keyId | [0]")
  [ -n "$key_id" ] || {
    echo 'not found yet' >&2
    return 1
  }
}

new_secret() {
  local label ends
  label="mailroom $(date -u +%Y-%m-%dT%H:%M:%SZ) $RANDOM"
  # --append: without it, every other credential of the application would be deleted.
  eventually az ad app credential reset --id "$client_id" --append --years "$years" --display-name "$label" \
    --query password --only-show-errors --output tsv >"$work/answer"
  tr -d '\r\n' <"$work/answer" >"$work/value"
  eventually named_key "$label" || fail "the credential \"$label\" was made, and is neither stored nor to be seen: delete it"
  ends=$(credential_query --query "[?displayName=='$label'].endDateTime | [0]")
  ends=${ends%%.*}
  if ! az keyvault secret set --vault-name "$vault" --name "$secret" --file "$work/value" --encoding utf-8 \
    --expires "${ends%Z}Z" --tags "clientId=$client_id" "keyId=$key_id" --only-show-errors --output none; then
    # Nobody knows its value now.
    az ad app credential delete --id "$client_id" --key-id "$key_id" --only-show-errors --output none
    fail "the vault did not take the secret; the new credential is deleted again"
  fi
}

if [ "$credential" = secret ]; then
  tagged=$(vault_query secret tags.keyId)
  old_key=${tagged#missing}
  known=''
  if [ -n "$tagged" ] && [ "$tagged" != missing ]; then
    known=$(credential_query --query "[?keyId=='$tagged'].endDateTime | [0]")
  fi
  if $rotate || [ "$tagged" = missing ]; then
    change "make a client secret and store it as $secret" new_secret
  elif [ -n "$known" ]; then
    kept "secret $secret, which ends $known"
  elif [ -z "$tagged" ]; then
    fail "secret $secret is in the vault and was not put there by this script; --rotate replaces it"
  else
    change "make a client secret in place of one that the application no longer has, and store it as $secret" new_secret
  fi
else
  # Key Vault makes the key, which leaves it only as the secret that Mailroom reads. It must not renew by itself: the
  # application would not know the new certificate, and Mailroom would sign in with it at once.
  new_certificate() {
    cat >"$work/policy.json" <<JSON
{
  "issuerParameters": { "name": "Self" },
  "keyProperties": { "exportable": true, "keySize": 2048, "keyType": "RSA", "reuseKey": false },
  "lifetimeActions": [{ "action": { "actionType": "EmailContacts" }, "trigger": { "daysBeforeExpiry": 30 } }],
  "secretProperties": { "contentType": "application/x-pem-file" },
  "x509CertificateProperties": {
    "keyUsage": ["digitalSignature"], "subject": "CN=mailroom-$account", "validityInMonths": $((years * 12))
  }
}
JSON
    az keyvault certificate create --vault-name "$vault" --name "$secret" --policy "@$work/policy.json" \
      --only-show-errors --output none
  }
  register_certificate() {
    eventually az ad app credential reset --id "$client_id" --append --cert "$secret" --keyvault "$vault" \
      --years "$years" --display-name "mailroom $thumbprint" --only-show-errors --output none
  }
  thumbprint=$(vault_query certificate x509ThumbprintHex)
  old_key=$(credential_query --cert --query "[?displayName=='mailroom $thumbprint'].keyId | [0]")
  if $rotate || [ "$thumbprint" = missing ]; then
    change "let Key Vault make the certificate $secret" new_certificate
    $dry_run || thumbprint=$(vault_query certificate x509ThumbprintHex)
  else
    kept "certificate $secret"
  fi
  known=$(credential_query --cert --query "[?displayName=='mailroom $thumbprint'].keyId | [0]")
  if [ -n "$known" ] && ! { $dry_run && $rotate; }; then
    kept 'the application knows the certificate'
  else
    change 'register the certificate with the application' register_certificate
  fi
fi

# 4. What to do with it.
kind=clientSecret
[ "$credential" = secret ] || kind=certificate
cat <<TEXT

The credential of account "$account":
  { "type": "$kind", "tenantId": "$tenant", "clientId": "${client_id:-(after the run)}", "secret": "$secret" }
Object id of its enterprise application, which Exchange asks for:
  ${principal:-(after the run)}
TEXT
if $rotate && [ -n "$old_key" ]; then
  cert_option=''
  [ "$credential" = secret ] || cert_option=' --cert'
  cat <<TEXT
When verify is ok with the new credential, end the old one:
  az ad app credential delete --id $client_id$cert_option --key-id $old_key
TEXT
fi
