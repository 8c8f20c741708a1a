import { useEffect, useRef, useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import type { Account } from '../../api/account.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { Confirm } from '../../parts/dialog.tsx';
import { type Json, useDraft } from '../../parts/draft.ts';
import { TextField } from '../../parts/field.tsx';
import { Form } from '../../parts/form.tsx';
import { forget, isKept, useKept } from '../../parts/kept.ts';
import { ListField } from '../../parts/list-field.tsx';
import { Page } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { useRefusal } from '../../parts/refusal.ts';
import { tell } from '../../parts/toast.tsx';
import { putAccount, putSecrets, type SecretEnds, type Secrets } from './account-requests.ts';
import { EndForm } from './end-form.tsx';
import { settingsOf } from './form-names.ts';
import { ImportRule } from './import-rule.tsx';
import { LimitFields } from './limit-fields.tsx';
import { useLiveVerify } from './live-verify.ts';
import { type AccountVersion, useAccount } from './use-account.ts';
import { VerifyResult } from './verify-result.tsx';

/** Everything of an account that a form can say; the rest stays as it is. */
export function Settings() {
  const { account: name = '' } = useRoute().params;
  const version = useAccount(name);
  // What is being typed is not to be replaced by what is loaded anew.
  const [first, setFirst] = useState<AccountVersion>();
  if (version.data && first === undefined) setFirst(version.data);
  return (
    <Page
      title={`Settings of ${name}`}
      above={[
        { name: 'Accounts', href: `${base}/accounts` },
        { name, href: `${base}/accounts/${name}` },
      ]}
    >
      <ProblemBox problem={first ? undefined : version.problem} retry={version.reload} />
      {!first && !version.problem && <p role="status">Loading the settings …</p>}
      {first && <SettingsForm name={name} version={first} />}
    </Page>
  );
}

/** An account as a draft: it is JSON already. */
function draftOf({ name: _, ...account }: Account): Json {
  return JSON.parse(JSON.stringify(account));
}

function SettingsForm({ name, version }: { readonly name: string; readonly version: AccountVersion }) {
  const { route } = useLocation();
  const form = settingsOf(name);
  const draft = useDraft(`${form} account`, draftOf(version.account));
  const unchanged = useRef(draft.value);
  const [etag, setEtag] = useKept(`${form} version`, version.etag);
  useEffect(() => {
    // What is kept belongs to the version that it was made from, whatever somebody else saves meanwhile.
    if (draft.value !== unchanged.current) setEtag(etag);
  }, [draft.value]);
  const [secrets, setSecrets] = useKept<Secrets>(`${form} secrets`, {});
  const [secretEnds, setSecretEnds] = useKept<SecretEnds>(`${form} ends`, {});
  const [refused, setRefused] = useRefusal(draft.value, secrets, secretEnds);
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const live = useLiveVerify(name, draft.value, secrets, true);
  const submit = async () => {
    setBusy(true);
    const answer = await putAccount(name, draft.value, { etag });
    const problem = answer.ok ? await putSecrets(name, secrets, secretEnds) : answer.problem;
    setBusy(false);
    if (answer.ok && answer.data.etag) setEtag(answer.data.etag);
    setRefused(problem);
    if (problem) return;
    forget(form);
    const warnings = answer.ok ? answer.data.account.warnings.map(({ detail }) => detail) : [];
    tell(warnings.length === 0 ? `${name} is saved` : `${name} is saved. Mind: ${warnings.join('; ')}`);
    route(`${base}/accounts/${name}`);
  };
  const leave = () => {
    forget(form);
    route(`${base}/accounts/${name}`);
  };
  const ends = {
    account: name,
    draft,
    secrets,
    onSecret: (secret: string, value: string) => setSecrets((before) => ({ ...before, [secret]: value })),
    ends: secretEnds,
    onEnd: (secret: string, end: string) => setSecretEnds((before) => ({ ...before, [secret]: end })),
    stored: true,
    verification: live.verification,
  };
  return (
    <Form problem={refused} found={live.problem} onSubmit={submit} label="Settings of the account">
      <div class="columns">
        <TextField
          label="Sender"
          pointer="/from"
          value={draft.text('/from')}
          onChange={(value) => draft.set('/from', value)}
          hint="Name <address@example.com>"
        />
        <TextField
          label="Bounces go to"
          pointer="/sender"
          value={draft.text('/sender')}
          onChange={(value) => draft.set('/sender', value || undefined)}
          hint="The envelope sender. Empty: the address of the sender."
        />
        <ListField
          label="Other senders that callers may use"
          pointer="/allowedFrom"
          values={[draft.get('/allowedFrom') ?? []].flat().map(String)}
          onChange={(values) => draft.set('/allowedFrom', values)}
          hint="Addresses or *@example.com, with spaces between them."
        />
      </div>
      <EndForm side="store" {...ends} />
      <EndForm side="transport" {...ends} />
      <ImportRule draft={draft} />
      <LimitFields draft={draft} />
      <p>
        Where its events go is set on the screen <a href={`${base}/webhook/${name}`}>Webhook of {name}</a>.
      </p>
      <div role="status">
        {live.busy && <p>Trying what you typed …</p>}
        {live.verification && <VerifyResult found={live.verification} />}
      </div>
      <ProblemBox problem={refused ?? live.problem} />
      <div class="actions">
        <Button submit kind="main" needs="account-put" busy={busy}>
          Save
        </Button>
        <Button onClick={() => (isKept(form) ? setAsked(true) : leave())}>Leave it as it was</Button>
      </div>
      {asked && (
        <Confirm title="Leave it as it was?" verb="Leave it" onConfirm={leave} onClose={() => setAsked(false)}>
          <p>What you typed here and have not saved is lost. The account stays as it is stored.</p>
        </Confirm>
      )}
    </Form>
  );
}
