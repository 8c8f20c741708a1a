import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import type { components } from '../../api/openapi.d.ts';
import type { Problem } from '../../api/problem.ts';
import { AccountField } from '../../parts/account-field.tsx';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { TextField } from '../../parts/field.tsx';
import { Form } from '../../parts/form.tsx';
import { askBeforeLeaving } from '../../parts/kept.ts';
import { fromLocalInput, toLocalInput } from '../../parts/local-time.ts';
import { More } from '../../parts/more.tsx';
import { Page } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { tell } from '../../parts/toast.tsx';
import { AttachmentList } from './attachment-list.tsx';
import { attached, detachAll, maxBytes, typeOf } from './attachments.ts';

type SendRequest = components['schemas']['SendRequest'];

const empty = {
  account: 'corpus',
  from: '',
  to: '',
  cc: '',
  bcc: '',
  subject: '',
  text: '',
  html: '',
  sendAt: '',
};
type Field = keyof typeof empty;

const htmlPointers = ['/html'] as const;

/** What is typed: kept while somebody looks at another screen, until it is sent. */
const mail = signal(empty);

askBeforeLeaving(() => {
  const { account: _, ...others } = mail.value;
  return attached.value.length > 0 || Object.values(others).some((text) => text !== '');
});

/** The request that was sent last, and its name: sent once more, it is the same mail (Idempotency-Key). */
let lastTry = { request: '', key: '' };

/** Writes a mail, and sends it. */
export function Write() {
  const { query, route } = useLocation();
  const [problem, setProblem] = useState<Problem>();
  const { value } = mail;
  useEffect(() => {
    if (query.account) mail.value = { ...mail.value, account: query.account };
  }, [query.account]);
  const submit = async () => {
    const { account } = value;
    const body = requestOf(value);
    const request = JSON.stringify([account, body]);
    if (lastTry.request !== request) lastTry = { request, key: crypto.randomUUID() };
    const answer = await outcome(
      api.POST('/accounts/{account}/messages', {
        params: { path: { account: account.trim() }, header: { 'Idempotency-Key': lastTry.key } },
        body,
      }),
    );
    setProblem(answer.ok ? undefined : accountProblem(answer.problem));
    if (!answer.ok) return;
    mail.value = { ...empty, account };
    lastTry = { request: '', key: '' };
    detachAll();
    tell('The mail is handed in.');
    route(`${base}/outbox/${encodeURIComponent(answer.data.id)}`);
  };
  return (
    <Page title="Write a mail" above={[{ name: 'Outbox', href: `${base}/outbox` }]}>
      <MailForm problem={problem} submit={submit} />
    </Page>
  );
}

function MailForm({
  problem,
  submit,
}: {
  readonly problem: Problem | undefined;
  readonly submit: () => Promise<void>;
}) {
  const [busy, setBusy] = useState(false);
  const { value } = mail;
  const field = (name: Field, label: string) => ({
    label,
    pointer: `/${name}`,
    value: value[name],
    onChange: (text: string) => {
      mail.value = { ...mail.value, [name]: text };
    },
  });
  const send = async () => {
    if (busy || notReady() !== undefined) return;
    setBusy(true);
    await submit();
    setBusy(false);
  };
  return (
    <Form problem={problem} onSubmit={send} label="Mail">
      <div class="columns">
        <AccountField {...field('account', 'Account')} />
        <TextField {...field('from', 'From')} hint="Empty: the account’s own sender" />
        <TextField
          {...field('to', 'To')}
          hint="Several with commas: Jane Doe &lt;jane@example.org&gt;, joe@example.org"
        />
        <TextField {...field('cc', 'Cc')} />
        <TextField {...field('bcc', 'Bcc')} />
        <TextField
          {...field('sendAt', 'Send at')}
          type="datetime-local"
          value={toLocalInput(value.sendAt)}
          onChange={(text) => {
            mail.value = { ...mail.value, sendAt: fromLocalInput(text) };
          }}
          hint="Empty: now"
        />
      </div>
      <TextField {...field('subject', 'Subject')} />
      <TextField {...field('text', 'Text')} rows={10} />
      <More summary="HTML as well" used={value.html !== ''} pointers={htmlPointers}>
        <TextField {...field('html', 'HTML')} rows={8} hint="Shown instead of the text by programs that show HTML" />
      </More>
      <AttachmentList />
      <ProblemBox problem={problem} />
      <div class="actions">
        <Button submit kind="main" needs="account-messages-send" busy={busy} notNow={notReady()}>
          {value.sendAt === '' ? 'Send' : 'Hand in for later'}
        </Button>
      </div>
    </Form>
  );
}

/** Why it cannot be sent yet. */
function notReady(): string | undefined {
  const files = attached.value;
  if (files.some(({ problem }) => problem)) return 'An upload has failed: upload the file again, or remove it.';
  if (files.some(({ upload }) => upload === undefined)) return 'Files are still being uploaded.';
  if (files.reduce((sum, { file }) => sum + file.size, 0) > maxBytes) return 'The files are too large together.';
  return undefined;
}

function requestOf({ account: _, subject, ...others }: typeof empty): SendRequest {
  const filled = Object.entries(others).filter(([, text]) => text.trim() !== '');
  const attachments = attached.value.flatMap(({ file, upload }) => {
    const contentType = typeOf(file);
    return upload === undefined ? [] : [{ filename: file.name, upload, ...(contentType ? { contentType } : {}) }];
  });
  return { subject, ...Object.fromEntries(filled), ...(attachments.length > 0 ? { attachments } : {}) };
}

/** An account that is not there is a mistake of its field. */
function accountProblem(problem: Problem): Problem {
  if (problem.status !== 404) return problem;
  return { ...problem, mistakes: [...problem.mistakes, { pointer: '/account', detail: problem.text }] };
}
