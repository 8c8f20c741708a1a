import type { Draft } from '../../parts/draft.ts';
import { CheckField, TextField } from '../../parts/field.tsx';

/** Where a copy of what is sent goes, or the mail itself. */
export function SendingFields({ draft }: { readonly draft: Draft }) {
  if (draft.text('/transport/protocol').startsWith('imap'))
    return (
      <TextField
        label="Folder that mail is put into"
        pointer="/transport/folder"
        value={draft.text('/transport/folder')}
        onChange={(value) => draft.set('/transport/folder', value === '' ? undefined : value)}
        hint="Empty: INBOX."
      />
    );
  return (
    <CheckField
      label="Put a copy of each mail into the folder for sent mail"
      pointer="/transport/saveToSent"
      checked={draft.get('/transport/saveToSent') === true}
      onChange={(value) => draft.set('/transport/saveToSent', value)}
      hint="Of the mailbox that is imported, which has to be on IMAP."
    />
  );
}
