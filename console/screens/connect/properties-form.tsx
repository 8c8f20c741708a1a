import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { asAccountBody, type SavedAccount, type Verification } from '../../api/account.ts';
import { api, outcome } from '../../api/client.ts';
import { isObject, type Problem } from '../../api/problem.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { TextField } from '../../parts/field.tsx';
import { Form } from '../../parts/form.tsx';
import { forget, useKept } from '../../parts/kept.ts';
import { Pill } from '../../parts/pill.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { useRefusal } from '../../parts/refusal.ts';
import { Table } from '../../parts/table.tsx';
import { tell } from '../../parts/toast.tsx';
import { putAccount, verifyDraft } from '../account/account-requests.ts';
import { VerifyResult } from '../account/verify-result.tsx';
import { firstName } from './kinds.ts';

/** Typing has paused for so long, in ms. */
const pauseMs = 500;

type Report = NonNullable<SavedAccount['report']>;

/** What the service found about what was typed. */
interface Tried {
  readonly report?: Report;
  readonly verification?: Verification;
  readonly problem?: Problem;
  /** Transport and store are being tried. */
  readonly busy?: boolean;
}

/** Properties as they were pasted, with what becomes of each, and whether they work, while one types; nothing is stored before it is saved. */
export function PropertiesForm() {
  const { route } = useLocation();
  const [name, setName] = useKept('properties name', firstName);
  const [text, setText] = useKept('properties text', '');
  const [tried, setTried] = useState<Tried>({});
  const [refused, setRefused] = useRefusal(name, text);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (text.trim() === '' || name === '') return setTried({});
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      const answer = await outcome(
        api.PUT('/accounts/{account}', {
          params: { path: { account: name }, query: { dryRun: 'true' }, header: { 'If-None-Match': '*' } },
          body: asAccountBody({ properties: text }),
          signal: controller.signal,
        }),
      );
      if (controller.signal.aborted) return;
      const report = answer.ok ? answer.data.report : reportIn(answer.problem);
      const read = { ...(report ? { report } : {}), ...(answer.ok ? {} : { problem: answer.problem }) };
      setTried({ ...read, busy: answer.ok });
      if (!answer.ok) return;
      const verified = await verifyDraft(name, { draft: { properties: text }, secrets: {} }, controller.signal);
      if (controller.signal.aborted) return;
      setTried({ ...read, ...(verified.ok ? { verification: verified.data } : { problem: verified.problem }) });
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [name, text]);
  const submit = async () => {
    setBusy(true);
    const answer = await putAccount(name || '-', { properties: text, import: { schedule: null } }, { etag: undefined });
    setBusy(false);
    setRefused(answer.ok ? undefined : answer.problem);
    if (!answer.ok) return;
    forget('properties');
    tell(`${name} is connected`);
    route(answer.data.account.store ? `${base}/accounts/${name}/import` : `${base}/accounts/${name}`);
  };
  return (
    <Form problem={refused} found={tried.problem} onSubmit={submit} label="Jakarta-Mail properties">
      <TextField
        label="Name of the account"
        pointer="/name"
        value={name}
        onChange={(value) => setName(value.toLowerCase())}
      />
      <TextField
        label="Properties"
        pointer="/properties"
        value={text}
        onChange={setText}
        rows={12}
        placeholder={'mail.store.protocol=imaps\nmail.imaps.host=mail.example.com'}
        hint="Passwords in them go to Key Vault, and into no table."
      />
      <ProblemBox problem={refused ?? tried.problem} />
      <div role="status">
        {tried.report && <p>{tried.report.length} properties were read.</p>}
        {tried.busy && <p>Trying what you typed …</p>}
        {tried.verification && <VerifyResult found={tried.verification} />}
      </div>
      {tried.report && tried.report.length > 0 && <ReportTable report={tried.report} />}
      <p class="actions">
        <Button submit kind="main" needs="account-put" busy={busy}>
          Save and choose folders
        </Button>
      </p>
    </Form>
  );
}

/** A refusal has a report as well. */
function reportIn({ members }: Problem): Report | undefined {
  const { report } = members;
  return Array.isArray(report) ? report.filter(isReported) : undefined;
}

function isReported(value: unknown): value is Report[number] {
  return (
    isObject(value) &&
    typeof value.name === 'string' &&
    typeof value.detail === 'string' &&
    typeof value.outcome === 'string' &&
    Object.hasOwn(outcomes, value.outcome)
  );
}

const outcomes: Readonly<Record<Report[number]['outcome'], readonly ['good' | 'idle' | 'bad' | 'warn', string]>> = {
  used: ['good', 'used'],
  ignored: ['idle', 'ignored'],
  wrongPrefix: ['bad', 'wrong prefix'],
  insecure: ['warn', 'used, insecure'],
};

function ReportTable({ report }: { readonly report: Report }) {
  return (
    <Table
      caption="What becomes of each property"
      rows={report}
      keyOf={({ name, detail }) => name + detail}
      columns={[
        { name: 'Property', cell: ({ name }) => <code>{name}</code> },
        { name: 'Becomes', cell: ({ outcome: of }) => <Pill kind={outcomes[of][0]}>{outcomes[of][1]}</Pill> },
        { name: 'Detail', cell: ({ detail }) => detail },
      ]}
    />
  );
}
