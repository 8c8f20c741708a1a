import type { Draft } from '../../parts/draft.ts';
import { SelectField, TextField } from '../../parts/field.tsx';
import { fromLocalInput, toLocalInput } from '../../parts/local-time.ts';

const choices = [
  { value: 'all', name: 'all that is there' },
  { value: 'now', name: 'only what comes from now on' },
  { value: 'instant', name: 'what was received since' },
] as const;

/** Which mail of a mailbox is imported: mail from before is left alone. */
export function SinceField({ draft }: { readonly draft: Draft }) {
  const since = draft.text('/import/since') || 'all';
  const chosen = since === 'all' || since === 'now' ? since : 'instant';
  return (
    <div class="columns">
      <SelectField
        label="Mail to import"
        pointer={chosen === 'instant' ? undefined : '/import/since'}
        value={chosen}
        options={choices}
        onChange={(value) => draft.set('/import/since', value === 'instant' ? new Date().toISOString() : value)}
      />
      {chosen === 'instant' && (
        <TextField
          label="Since"
          type="datetime-local"
          pointer="/import/since"
          value={toLocalInput(since)}
          onChange={(value) => draft.set('/import/since', fromLocalInput(value) || since)}
        />
      )}
    </div>
  );
}
