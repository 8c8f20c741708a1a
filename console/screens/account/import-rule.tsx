import type { Draft, Json } from '../../parts/draft.ts';
import { at } from '../../parts/draft.ts';
import { CheckField, SelectField, TextField } from '../../parts/field.tsx';
import { SinceField } from './since-field.tsx';

const deletions = [
  { value: 'never', name: 'stays' },
  { value: 'immediately', name: 'is deleted as soon as it is imported' },
  { value: 'afterDays', name: 'is deleted some days after' },
] as const;

/** When mail is imported, and what becomes of its original. */
export function ImportRule({ draft }: { readonly draft: Draft }) {
  if (draft.get('/store') === undefined) return null;
  const rule = draft.get('/import/delete');
  const days = at(rule, '/afterDays');
  const deletion = days !== undefined ? 'afterDays' : rule === 'immediately' ? 'immediately' : 'never';
  const setRule = (next: Json) => draft.set('/import/delete', next);
  const isPop = draft.text('/store/protocol').startsWith('pop3');
  return (
    <fieldset>
      <legend>Import rule</legend>
      <TextField
        label="Schedule"
        pointer="/import/schedule"
        value={draft.text('/import/schedule')}
        onChange={(value) => draft.set('/import/schedule', value === '' ? null : value)}
        hint="NCRONTAB, UTC: 0 */5 * * * * is every five minutes. Empty: only when somebody asks for it."
      />
      <SinceField draft={draft} />
      {!isPop && (
        <CheckField
          label="Mark the original as read"
          pointer="/import/markRead"
          checked={draft.get('/import/markRead') === true}
          onChange={(value) => draft.set('/import/markRead', value)}
        />
      )}
      <div class="columns">
        <SelectField
          label="The original"
          pointer="/import/delete"
          value={deletion}
          options={deletions}
          onChange={(value) => setRule(value === 'afterDays' ? { afterDays: 30 } : value)}
        />
        {deletion === 'afterDays' && (
          <TextField
            label="Days"
            type="number"
            pointer="/import/delete/afterDays"
            value={typeof days === 'number' ? String(days) : ''}
            onChange={(value) => setRule({ afterDays: Number(value) })}
          />
        )}
      </div>
      {!isPop && (
        <TextField
          label="Move the original to"
          pointer="/import/moveTo"
          value={draft.text('/import/moveTo')}
          onChange={(value) => draft.set('/import/moveTo', value === '' ? null : value)}
          hint="A folder outside those that are imported. Empty: it is not moved."
        />
      )}
    </fieldset>
  );
}
