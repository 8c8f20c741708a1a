import { useState } from 'preact/hooks';
import { api, outcome } from '../../api/client.ts';
import type { Problem } from '../../api/problem.ts';
import { useResource } from '../../api/resource.ts';
import { Button } from '../../parts/button.tsx';
import { Confirm } from '../../parts/dialog.tsx';
import { SecretField, TextField } from '../../parts/field.tsx';
import { Form } from '../../parts/form.tsx';
import { forget, useKept } from '../../parts/kept.ts';
import { Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { tell } from '../../parts/toast.tsx';
import { webhookOf } from '../account/form-names.ts';

export interface WebhookFormProps {
  readonly account: string;
  readonly reload: () => Promise<void>;
}

interface Typed {
  readonly url: string;
  readonly events: string;
  /** A new value; empty: it stays as it is. */
  readonly secret: string;
}

/** Where events go, which, and what they are signed with. */
export function WebhookForm({ account, reload }: WebhookFormProps) {
  const stored = useResource(`account ${account}`, (signal) =>
    outcome(api.GET('/accounts/{account}', { params: { path: { account } }, signal })),
  );
  const webhook = stored.data?.webhook;
  const form = webhookOf(account);
  const [changed, setTyped] = useKept<Typed | undefined>(form, undefined);
  const [problem, setProblem] = useState<Problem>();
  const [asked, setAsked] = useState(false);
  const asStored = stored.data && { url: webhook?.url ?? '', events: eventsText(webhook?.events), secret: '' };
  // What somebody types stays, whatever is loaded anew.
  const typed = changed ?? asStored;
  const name = webhook?.secret ?? `${account}-webhook`;
  const patch = async (body: { webhook: unknown }) => {
    const answer = await outcome(api.PATCH('/accounts/{account}', { params: { path: { account } }, body }));
    setProblem(answer.ok ? undefined : atFields(answer.problem));
    if (answer.ok) await Promise.all([stored.reload(), reload()]);
    return answer.ok;
  };
  const done = () => {
    setTyped(undefined);
    forget(form);
  };
  const save = async () => {
    if (!typed) return;
    const { url, events, secret } = typed;
    const list = events.split(/[\s,]+/).filter((one) => one !== '');
    const next = { url: url.trim(), secret: name, events: list.length > 0 ? list : null };
    // The account first: where it is refused, no secret is stored.
    if (!(await patch({ webhook: next }))) return;
    if (secret !== '') {
      const written = await outcome(
        api.PUT('/accounts/{account}/secrets/{name}', { params: { path: { account, name } }, body: { value: secret } }),
      );
      if (!written.ok) return setProblem({ ...written.problem, mistakes: atSecret(written.problem) });
    }
    done();
    tell('The webhook is saved.');
  };
  const remove = async () => {
    setAsked(false);
    if (!(await patch({ webhook: null }))) return;
    done();
    tell('The account has no webhook any more.');
  };
  return (
    <Section title={webhook ? 'Where events go' : 'Add a webhook'}>
      <ProblemBox problem={stored.problem} retry={stored.reload} />
      {typed && (
        <Fields
          typed={typed}
          change={(part) => setTyped({ ...typed, ...part })}
          problem={problem}
          save={save}
          remove={webhook ? () => setAsked(true) : undefined}
        />
      )}
      {asked && (
        <Confirm
          title="Remove this webhook?"
          verb="Remove"
          needs="account-patch"
          onConfirm={remove}
          onClose={() => setAsked(false)}
        >
          <p>Events of this account are not sent anywhere any more. Its secret stays in Key Vault.</p>
        </Confirm>
      )}
    </Section>
  );
}

interface FieldsProps {
  readonly typed: Typed;
  readonly change: (part: Partial<Typed>) => void;
  readonly problem: Problem | undefined;
  readonly save: () => Promise<void>;
  readonly remove: (() => void) | undefined;
}

function Fields({ typed, change, problem, save, remove }: FieldsProps) {
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    if (busy) return;
    setBusy(true);
    await save();
    setBusy(false);
  };
  return (
    <Form problem={problem} onSubmit={submit} label="Webhook">
      <TextField
        label="URL"
        pointer="/webhook/url"
        type="url"
        value={typed.url}
        onChange={(url) => change({ url })}
        hint="https, on the internet; its path is shown to whoever may read the account"
      />
      <TextField
        label="Events"
        pointer="/webhook/events"
        value={typed.events}
        onChange={(events) => change({ events })}
        hint="With commas, as mailroom.mail.*; empty: all"
      />
      <SecretField
        label="Secret"
        pointer="/value"
        value={typed.secret}
        onChange={(secret) => change({ secret })}
        hint="Signs what is sent (Standard Webhooks). Empty: as it is. For 24 hours the one before signs as well."
      />
      <div class="actions">
        <Button onClick={() => change({ secret: newSecret() })}>Make a secret</Button>
      </div>
      <ProblemBox problem={problem} />
      <div class="actions">
        <Button submit kind="main" needs="account-patch" busy={busy}>
          Save
        </Button>
        {remove && (
          <Button kind="danger" needs="account-patch" onClick={remove}>
            Remove the webhook
          </Button>
        )}
      </div>
    </Form>
  );
}

/** All events are no list at all. */
const eventsText = (events: readonly string[] | undefined) =>
  events === undefined || events.join() === 'mailroom.*' ? '' : events.join(', ');

/** Mistakes of a list are those of the field that it is typed into. */
function atFields(problem: Problem): Problem {
  const mistakes = problem.mistakes.map(({ pointer, detail }) => ({
    pointer: pointer.replace(/^\/webhook\/events\/\d+$/, '/webhook/events'),
    detail,
  }));
  return { ...problem, mistakes };
}

/** Whatever is wrong with the writing of a secret is shown at its field. */
const atSecret = ({ mistakes, text }: Problem) =>
  mistakes.length > 0 ? mistakes : [{ pointer: '/value', detail: text }];

/** 24 random bytes, as Standard Webhooks writes them. */
function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}
