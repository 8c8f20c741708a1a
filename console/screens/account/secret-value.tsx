import type { Draft } from '../../parts/draft.ts';
import { SecretField, TextField } from '../../parts/field.tsx';
import { fromLocalInput, toLocalInput } from '../../parts/local-time.ts';
import type { SecretEnds, Secrets } from './account-requests.ts';

/** The secrets of a form, while they are typed. */
export interface TypedSecrets {
  readonly draft: Draft;
  /** Values of secrets, by name; they are written, and never read. */
  readonly secrets: Secrets;
  readonly onSecret: (name: string, value: string) => void;
  readonly ends: SecretEnds;
  readonly onEnd: (name: string, end: string) => void;
  /** The account is stored already, and so may its secrets be. */
  readonly stored: boolean;
}

export interface SecretValueProps extends TypedSecrets {
  /** Where the account has the name of the secret. */
  readonly pointer: string;
  readonly label: string;
  readonly endLabel: string;
  readonly error: string | undefined;
}

/** The value of a secret that the account names, and when it ends. It goes to Key Vault, and never comes back. */
export function SecretValue(props: SecretValueProps) {
  const { draft, secrets, onSecret, ends, onEnd, stored, pointer, label, endLabel, error } = props;
  const name = draft.text(pointer);
  const value = secrets[name] ?? '';
  return (
    <>
      <SecretField
        label={label}
        pointer={pointer}
        value={value}
        onChange={(next) => onSecret(name, next)}
        hint={
          <>
            Kept in Key Vault as <code>{name}</code>. {stored && 'Leave it empty to keep the one that is there.'}
          </>
        }
        error={error}
      />
      {value !== '' && (
        <TextField
          label={endLabel}
          type="datetime-local"
          value={toLocalInput(ends[name])}
          onChange={(text) => onEnd(name, fromLocalInput(text))}
          hint="Where it is known: the console and an alert warn of it 30 days before. Empty: not known."
        />
      )}
    </>
  );
}
