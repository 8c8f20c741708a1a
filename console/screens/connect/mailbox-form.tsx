import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { at, type Draft, type Json, useDraft, withAt } from '../../parts/draft.ts';
import { CheckField, TextField } from '../../parts/field.tsx';
import { Form } from '../../parts/form.tsx';
import { forget, useKept } from '../../parts/kept.ts';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { useRefusal } from '../../parts/refusal.ts';
import { tell } from '../../parts/toast.tsx';
import { putAccount, putSecrets, type SecretEnds, type Secrets } from '../account/account-requests.ts';
import { EndForm } from '../account/end-form.tsx';
import { useLiveVerify } from '../account/live-verify.ts';
import { addressOf, providerOf } from '../account/providers.ts';
import { SinceField } from '../account/since-field.tsx';
import { secretNameOf } from '../account/verification.ts';
import { VerifyResult } from '../account/verify-result.tsx';
import { firstName, type Kind } from './kinds.ts';
import { renamed } from './rename-secrets.ts';

/** A mailbox in fields. What is typed is tried each time that typing pauses; nothing is stored before it is saved. */
export function MailboxForm({ kind }: { readonly kind: Kind }) {
  const { route } = useLocation();
  const form = `connect ${kind.id}`;
  const [name, setName] = useKept(`${form} name`, firstName);
  const draft = useDraft(`${form} account`, kind.start?.(firstName) ?? {});
  const [secrets, setSecrets] = useKept<Secrets>(`${form} secrets`, {});
  const [secretEnds, setSecretEnds] = useKept<SecretEnds>(`${form} ends`, {});
  const [same, setSame] = useKept(`${form} same`, true);
  const [etag, setEtag] = useKept<string | undefined>(`${form} version`, undefined);
  const [refused, setRefused] = useRefusal(name, draft.value, secrets, secretEnds, same);
  const [busy, setBusy] = useState(false);

  const { account, values } = same
    ? withSameSignIn(draft.value, secrets, name)
    : { account: draft.value, values: secrets };
  const live = useLiveVerify(name, account, values);
  const rename = (next: string) => {
    const changed = renamed(draft.value, secrets, name, next);
    draft.replace(changed.value);
    setSecrets(changed.secrets);
    setSecretEnds(renamed(draft.value, secretEnds, name, next).secrets);
    setName(next);
  };
  const submit = async () => {
    setBusy(true);
    // Nothing is imported by itself before the folders and the dry run have been seen.
    const body = withAt(account, '/import/schedule', null);
    const answer = await putAccount(name || '-', body, { etag });
    const ofBoth = same ? withSameSignIn(draft.value, secretEnds, name).values : secretEnds;
    const problem = answer.ok ? await putSecrets(name, values, ofBoth) : answer.problem;
    setBusy(false);
    if (answer.ok) setEtag(answer.data.etag);
    setRefused(problem);
    if (problem) return;
    forget(form);
    tell(`${name} is connected`);
    route(at(account, '/store') === undefined ? `${base}/accounts/${name}` : `${base}/accounts/${name}/import`);
  };
  const ends = {
    account: name,
    draft,
    secrets,
    onSecret: (secret: string, value: string) => setSecrets((before) => ({ ...before, [secret]: value })),
    ends: secretEnds,
    onEnd: (secret: string, end: string) => setSecretEnds((before) => ({ ...before, [secret]: end })),
    stored: false,
    verification: live.verification,
  };
  const provider = providerOf(draft.text('/from'));
  const bothSides = draft.get('/store') !== undefined && draft.get('/transport') !== undefined;
  return (
    <Form problem={refused} found={live.problem} onSubmit={submit} label={kind.name}>
      <div class="columns">
        <TextField
          label="Name of the account"
          pointer="/name"
          value={name}
          onChange={(value) => rename(value.toLowerCase())}
          hint={`Small letters, digits and dashes. ${firstName} is the one that callers use who name none.`}
        />
        <TextField
          label="Address"
          pointer="/from"
          value={draft.text('/from')}
          onChange={(value) => setAddress(draft, value, name)}
          placeholder="Corpus <corpus@example.com>"
          hint="Mail is sent from it."
        />
      </div>
      {provider?.note && <p class="notice idle">{provider.note}</p>}
      <EndForm side="store" {...ends} />
      {draft.get('/store') !== undefined && <SinceField draft={draft} />}
      {bothSides && <CheckField label="Sending signs in as importing does" checked={same} onChange={setSame} />}
      <EndForm side="transport" {...ends} sameSignIn={same && bothSides} />
      <div role="status">
        {live.busy && <p>Trying what you typed …</p>}
        {live.verification && <VerifyResult found={live.verification} />}
      </div>
      <ProblemBox problem={refused ?? live.problem} />
      <div class="actions">
        <Button submit kind="main" needs="account-put" busy={busy}>
          Save and choose folders
        </Button>
      </div>
    </Form>
  );
}

/** The address, and what follows from it as long as nobody has typed something else: the user, and a provider's hosts. */
function setAddress(draft: Draft, next: string, account: string): void {
  const before = addressOf(draft.text('/from'));
  const address = addressOf(next);
  const changes: Record<string, Json | undefined> = { '/from': next };
  for (const side of ['/store', '/transport'] as const)
    for (const field of ['userId', 'auth/user'] as const) {
      const pointer = `${side}/${field}`;
      if (draft.get(pointer) === '' || draft.get(pointer) === before) changes[pointer] = address;
    }
  const provider = providerOf(next);
  if (provider && provider !== providerOf(draft.text('/from')))
    for (const [side, end] of [
      ['/store', provider.store],
      ['/transport', provider.transport],
    ] as const) {
      const protocol = String(at(end, '/protocol') ?? '');
      if (side === '/store' && draft.text('/store/protocol').startsWith('pop3')) continue;
      if (draft.get(side) === undefined || draft.get(`${side}/host`) === undefined) continue;
      const auth = { type: 'password', user: address, secret: secretNameOf(account, protocol) };
      changes[side] = withAt(end, '/auth', auth);
      delete changes[`${side}/auth/user`];
    }
  draft.setAll(changes);
}

/** The account with the sign-in of its store on both sides, and the secrets, or their ends, that go with it. */
function withSameSignIn(value: Json, secrets: Secrets, name: string): { account: Json; values: Secrets } {
  const unchanged = { account: value, values: secrets };
  if (at(value, '/store') === undefined || at(value, '/transport') === undefined) return unchanged;
  if (at(value, '/store/protocol') === 'graph' || at(value, '/transport/protocol') === 'graph') {
    const credential = at(value, '/store/credential');
    if (credential === undefined || at(value, '/transport/credential') === undefined) return unchanged;
    const user = at(value, '/store/userId');
    const both = withAt(withAt(value, '/transport/credential', credential), '/transport/userId', user);
    return { account: both, values: secrets };
  }
  const auth = at(value, '/store/auth');
  if (at(value, '/transport/host') === undefined || auth === undefined) return unchanged;
  if (at(auth, '/type') !== 'password') return { account: withAt(value, '/transport/auth', auth), values: secrets };
  const secret = secretNameOf(name, String(at(value, '/transport/protocol')));
  const own = String(at(auth, '/secret'));
  return {
    account: withAt(value, '/transport/auth', withAt(auth, '/secret', secret)),
    values: { ...secrets, [secret]: secrets[own] ?? '' },
  };
}
