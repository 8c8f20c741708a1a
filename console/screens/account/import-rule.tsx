import type { Draft, Json } from '../../parts/draft.ts';
import { at } from '../../parts/draft.ts';
import { CheckField, SelectField, TextField } from '../../parts/field.tsx';
import { SinceField } from './since-field.tsx';

const deletions = [
  { value: 'never', name: 'stays' },
  { value: 'immediately', name: 'is deleted as soon as it is imported' },
  { value: 'afterDays', name: 'is deleted some days after' },
] as const;

const deleteModes = [
  { value: 'trash', name: 'goes to the trash folder' },
  { value: 'permanent', name: 'is gone for good' },
] as const;

const mebibyte = 1024 * 1024;

/** When mail is imported, and what becomes of its original. */
export function ImportRule({ draft }: { readonly draft: Draft }) {
  if (draft.get('/store') === undefined) return null;
  const rule = draft.get('/import/delete');
  const days = at(rule, '/afterDays');
  const deletion = days !== undefined ? 'afterDays' : rule === 'immediately' ? 'immediately' : 'never';
  const setRule = (next: Json) => draft.set('/import/delete', next);
  const usualMode = draft.text('/store/protocol') === 'graph' ? 'trash' : 'permanent';
  const deleteMode = deleteModes.find(({ value }) => value === draft.text('/import/deleteMode'))?.value ?? usualMode;
  const largest = draft.get('/import/maxMessageSize');
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
      {draft.get('/store/protocol') === 'graph' && (
        <CheckField
          label="Import new mail as soon as Microsoft Graph tells of it"
          pointer="/store/push"
          checked={draft.get('/store/push') === true}
          onChange={(value) => draft.set('/store/push', value)}
          hint="The schedule goes on beside it. Microsoft has to reach this service at its PUBLIC_URL."
        />
      )}
      <div class="columns">
        <SinceField draft={draft} />
        <TextField
          label="Largest mail, in MiB"
          type="number"
          pointer="/import/maxMessageSize"
          value={typeof largest === 'number' ? String(largest / mebibyte) : ''}
          onChange={(value) =>
            draft.set('/import/maxMessageSize', value === '' ? undefined : Math.round(Number(value) * mebibyte))
          }
          hint="Of a larger one only the headers are imported, and it is never deleted. Empty: 150."
        />
      </div>
      {!isPop && (
        <CheckField
          label="Mark the original as read"
          pointer="/import/markRead"
          checked={draft.get('/import/markRead') !== false}
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
        {deletion !== 'never' && !(isPop && deleteMode === 'permanent') && (
          <SelectField
            label="A deleted original"
            pointer="/import/deleteMode"
            value={deleteMode}
            options={deleteModes}
            onChange={(value) => draft.set('/import/deleteMode', value)}
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
