import { useState } from 'preact/hooks';
import { api, outcome } from '../../api/client.ts';
import type { Problem } from '../../api/problem.ts';
import { Confirm } from '../../parts/dialog.tsx';
import { CheckField } from '../../parts/field.tsx';
import { forget } from '../../parts/kept.ts';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { tell } from '../../parts/toast.tsx';
import { foldersOf, settingsOf, webhookOf } from './form-names.ts';

export interface DeleteAccountProps {
  readonly name: string;
  readonly etag: string | undefined;
  readonly onClose: () => void;
  readonly onDeleted: () => void;
}

/** Asks whether an account is to go, and says what stays. */
export function DeleteAccount({ name, etag, onClose, onDeleted }: DeleteAccountProps) {
  const [secrets, setSecrets] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const remove = async () => {
    const answer = await outcome(
      api.DELETE('/accounts/{account}', {
        params: {
          path: { account: name },
          query: secrets ? { secrets: 'true' } : {},
          header: etag === undefined ? {} : { 'If-Match': etag },
        },
      }),
    );
    if (!answer.ok) return setProblem(answer.problem);
    const left = answer.data?.secrets.filter(({ deleted }) => !deleted).map((secret) => secret.name) ?? [];
    tell(left.length === 0 ? `${name} is deleted` : `${name} is deleted. Its secrets stay: ${left.join(', ')}`);
    forget(settingsOf(name));
    forget(foldersOf(name));
    forget(webhookOf(name));
    onDeleted();
  };
  return (
    <Confirm
      title={`Delete the account ${name}?`}
      verb="Delete"
      needs="account-delete"
      onConfirm={remove}
      onClose={onClose}
    >
      <p>
        It no longer sends or imports. What it has imported stays, and what it knows of its mailbox too: added again, it
        imports nothing twice.
      </p>
      <CheckField
        label="Delete its secrets in Key Vault as well"
        checked={secrets}
        onChange={setSecrets}
        hint="They can be recovered there for as long as the vault says."
      />
      <ProblemBox problem={problem} />
    </Confirm>
  );
}
