import type { Draft } from '../../parts/draft.ts';
import { SecretField, TextField } from '../../parts/field.tsx';
import type { Secrets } from './account-requests.ts';

export interface WebhookFieldsProps {
  readonly account: string;
  readonly draft: Draft;
  readonly secrets: Secrets;
  readonly onSecret: (name: string, value: string) => void;
}

/** Where events of the account are posted. */
export function WebhookFields({ account, draft, secrets, onSecret }: WebhookFieldsProps) {
  const url = draft.text('/webhook/url');
  const secret = draft.text('/webhook/secret') || `${account}-webhook`;
  const setUrl = (value: string) => {
    if (value.trim() === '') return draft.set('/webhook', null);
    draft.setAll({ '/webhook/url': value.trim(), '/webhook/secret': secret });
  };
  return (
    <fieldset>
      <legend>Webhook</legend>
      <TextField
        label="Address"
        pointer="/webhook/url"
        value={url}
        onChange={setUrl}
        placeholder="https://dam.example.com/mail"
        hint="Events of this account are posted to it. Empty: to none."
      />
      {url !== '' && (
        <SecretField
          label="Secret of the signatures"
          pointer="/webhook/secret"
          value={secrets[secret] ?? ''}
          onChange={(value) => onSecret(secret, value)}
          hint={
            <>
              Kept in Key Vault as <code>{secret}</code>. Leave it empty to keep the one that is there.
            </>
          }
        />
      )}
    </fieldset>
  );
}
