import type { Draft } from '../../parts/draft.ts';
import { CheckField, TextField } from '../../parts/field.tsx';

/** How fast an account may be, and whether its dialogue with the servers is logged. */
export function LimitFields({ draft }: { readonly draft: Draft }) {
  const set = (pointer: string, text: string, none: null | undefined) =>
    draft.set(pointer, text === '' ? none : Number(text));
  return (
    <fieldset>
      <legend>Limits, and looking closer</legend>
      <div class="columns">
        <TextField
          label="Mails sent a minute"
          type="number"
          pointer="/limits/perMinute"
          value={draft.text('/limits/perMinute')}
          onChange={(value) => set('/limits/perMinute', value, null)}
          hint="By all instances of the app together. Empty: no limit."
        />
        <TextField
          label="Connections at a time"
          type="number"
          pointer="/limits/connections"
          value={draft.text('/limits/connections')}
          onChange={(value) => set('/limits/connections', value, undefined)}
          hint="To one server, likewise. Empty: 5."
        />
      </div>
      <CheckField
        label="Log the dialogue with its servers for an hour"
        pointer="/debug"
        checked={draft.get('/debug') === true}
        onChange={(value) => draft.set('/debug', value)}
        hint="Passwords and contents of mail are left out."
      />
    </fieldset>
  );
}
