import { useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import { api, outcome } from '../../api/client.ts';
import { saveAs } from '../../api/download.ts';
import type { Problem } from '../../api/problem.ts';
import { useResource } from '../../api/resource.ts';
import { addressWith, base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import { Confirm } from '../../parts/dialog.tsx';
import { Page, Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { sizeText } from '../../parts/size.ts';
import { type Column, Table } from '../../parts/table.tsx';
import { Time } from '../../parts/time.tsx';
import { tell } from '../../parts/toast.tsx';
import { type Asset, addressesText, Flags, subjectText } from './asset-parts.tsx';
import { MailFrame } from './mail-frame.tsx';

/** One imported mail: what it says, its files, its bytes. */
export function AssetScreen() {
  const { id = '' } = useRoute().params;
  const asset = useResource(`asset ${id}`, (signal) =>
    outcome(api.GET('/assets/{id}', { params: { path: { id } }, signal })),
  );
  const { data } = asset;
  return (
    <Page
      title={data ? subjectText(data.subject) : 'An imported mail'}
      above={[{ name: 'Assets', href: `${base}/assets` }]}
    >
      <ProblemBox problem={asset.problem} retry={asset.reload} />
      {!data && asset.loading && <p role="status">Loading the mail …</p>}
      {data && (
        <>
          <Actions asset={data} />
          <Facts asset={data} />
          {data.bounce && <Bounce bounce={data.bounce} />}
          {data.attachments.length > 0 && <Attachments asset={data} />}
          <Section title="Body">
            <MailFrame key={data.id} asset={data} />
          </Section>
        </>
      )}
    </Page>
  );
}

function Actions({ asset: { id } }: { readonly asset: Asset }) {
  const { route } = useLocation();
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const params = { params: { path: { id } } };
  const download = async () => {
    const bytes = outcome(api.GET('/assets/{id}/mime', { ...params, parseAs: 'blob' }));
    const answer = await saveAs(`${id}.eml`, bytes);
    setProblem(answer.ok ? undefined : answer.problem);
  };
  const remove = async () => {
    const answer = await outcome(api.DELETE('/assets/{id}', params));
    setAsked(false);
    setProblem(answer.ok ? undefined : answer.problem);
    if (!answer.ok) return;
    tell('The asset is deleted.');
    route(`${base}/assets`);
  };
  return (
    <>
      <div class="actions">
        <Button needs="asset-mime" onClick={download}>
          Download as MIME
        </Button>
        <Button kind="danger" needs="asset-delete" onClick={() => setAsked(true)}>
          Delete
        </Button>
      </div>
      <ProblemBox problem={problem} />
      {asked && (
        <Confirm
          title="Delete this asset?"
          verb="Delete"
          needs="asset-delete"
          onConfirm={remove}
          onClose={() => setAsked(false)}
        >
          <p>Its mail, files and description are removed for good, and it is not imported again.</p>
        </Confirm>
      )}
    </>
  );
}

function Facts({ asset }: { readonly asset: Asset }) {
  const times = [
    ['Date', asset.date],
    ['Received', asset.receivedAt],
    ['Imported', asset.importedAt],
  ] as const;
  const texts = [
    ['From', addressesText(asset.from)],
    ['To', addressesText(asset.to)],
    ...(asset.cc.length > 0 ? [['Cc', addressesText(asset.cc)]] : []),
    ['Folder', asset.folder],
    ['Size', sizeText(asset.size)],
    ['Message-ID', asset.messageId ?? '–'],
    ...(asset.defects.length > 0 ? [['What is wrong with it', asset.defects.join(', ')]] : []),
  ];
  return (
    <>
      <p>
        <Flags asset={asset} />
      </p>
      <dl class="facts">
        <div>
          <dt>Account</dt>
          <dd>
            <a href={addressWith(`${base}/assets`, {}, { account: asset.account })}>{asset.account}</a>
          </dd>
        </div>
        {texts.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
        {times.map(([name, at]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{at === null ? '–' : <Time at={at} />}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function Bounce({ bounce }: { readonly bounce: NonNullable<Asset['bounce']> }) {
  return (
    <Section title="It reports about a mail that was sent">
      {bounce.messageRecord !== undefined && (
        <p>
          <a href={`${base}/outbox/${encodeURIComponent(bounce.messageRecord)}`}>The mail in the outbox</a>
        </p>
      )}
      <Table
        caption="Recipients that it reports about"
        columns={bounceColumns}
        rows={bounce.recipients}
        keyOf={({ address }) => address}
      />
    </Section>
  );
}

const bounceColumns: readonly Column<NonNullable<Asset['bounce']>['recipients'][number]>[] = [
  { name: 'Address', cell: ({ address }) => address },
  { name: 'Action', cell: ({ action }) => action },
  { name: 'Status', cell: ({ status }) => status },
  { name: 'The server said', cell: ({ diagnostic }) => diagnostic },
];

function Attachments({ asset }: { readonly asset: Asset }) {
  const [problem, setProblem] = useState<Problem>();
  const download = async ({ n, filename }: Asset['attachments'][number]) => {
    const bytes = outcome(
      api.GET('/assets/{id}/attachments/{n}', { params: { path: { id: asset.id, n } }, parseAs: 'blob' }),
    );
    const answer = await saveAs(filename ?? `attachment-${n}`, bytes);
    setProblem(answer.ok ? undefined : answer.problem);
  };
  const columns: readonly Column<Asset['attachments'][number]>[] = [
    {
      name: 'File',
      cell: ({ filename, inline }) => (
        <>
          {filename ?? '(no name)'} {inline && <span class="quiet">in the body</span>}
        </>
      ),
    },
    { name: 'Type', cell: ({ contentType }) => contentType },
    { name: 'Size', number: true, cell: ({ size }) => sizeText(size) },
    {
      name: 'Download',
      cell: (attachment) => (
        <Button needs="asset-attachment" onClick={() => download(attachment)}>
          Download <span class="hidden">{attachment.filename ?? `attachment ${attachment.n}`}</span>
        </Button>
      ),
    },
  ];
  return (
    <Section title="Attachments">
      <ProblemBox problem={problem} />
      <Table caption="Attachments" columns={columns} rows={asset.attachments} keyOf={({ n }) => String(n)} />
    </Section>
  );
}
