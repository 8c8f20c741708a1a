import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { audit, inboxRows } from '../../test/support/audit.ts';
import { type Dovecot, startDovecot } from '../../test/support/dovecot.ts';
import { deliverAll, imapAccount } from '../../test/support/imap-account.ts';
import { Mailroom } from '../../test/support/mailroom.ts';
import { mixedMails } from '../../test/support/mails.ts';
import { rebuildState } from './state.ts';

let mailroom: Mailroom;
let dovecot: Dovecot;
const said: string[] = [];

beforeEach(async () => {
  [mailroom, dovecot] = await Promise.all([
    Mailroom.start(),
    startDovecot({ users: { tester: 'password of tester' } }),
  ]);
  said.length = 0;
});

afterEach(async () => {
  await mailroom?.stop();
  await dovecot?.remove();
});

const table = (name: string) =>
  TableClient.fromConnectionString(mailroom.azurite.connectionString, name, { allowInsecureConnection: true });
const assets = () =>
  BlobServiceClient.fromConnectionString(mailroom.azurite.connectionString).getContainerClient('assets');
const rebuild = (account: string) => rebuildState({ table, say: (line) => said.push(line), assets: assets() }, account);

const idsOf = async (account: string) => (await mailroom.assets(account)).map(({ id }) => id).sort();

it('a ledger that was deleted and rebuilt imports nothing twice, and goes on with what is new', {
  timeout: 180_000,
}, async () => {
  const mails = mixedMails(40, 11, 20_000);
  await deliverAll(dovecot, mails.slice(0, 30));
  await imapAccount(mailroom, 'corpus', dovecot);
  expect(await mailroom.import('corpus')).toMatchObject({ imported: 30 });
  const before = await idsOf('corpus');
  const keysOf = async () =>
    (await inboxRows(mailroom, 'corpus')).map(({ key }) => key).filter((key) => /^[alf]:/.test(key));
  const keys = await keysOf();

  await mailroom.kill();
  await table('inbox').deleteTable();
  await rebuild('corpus');
  expect(said).toEqual(['corpus: rows of 30 assets restored, of 0 there already']);
  expect((await keysOf()).sort()).toEqual(keys.sort());
  await rebuild('corpus');
  expect(said.slice(1)).toEqual(['corpus: rows of 0 assets restored, of 30 there already']);

  await mailroom.run();
  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0, quarantined: 0 });
  expect(await idsOf('corpus')).toEqual(before);
  await deliverAll(dovecot, mails.slice(30));
  expect(await mailroom.import('corpus')).toMatchObject({ imported: 10 });
  await audit(mailroom, 'corpus', mails, { counted: 10 });
});

it('mail that got new source ids after the loss is recognised by what the assets say of it', {
  timeout: 180_000,
}, async () => {
  const mails = mixedMails(12, 3, 5_000);
  await deliverAll(dovecot, mails);
  await imapAccount(mailroom, 'corpus', dovecot);
  await mailroom.import('corpus');
  const before = await idsOf('corpus');
  await mailroom.kill();
  await table('inbox').deleteTable();
  await rebuild('corpus');
  await dovecot.setUidValidity('tester', 'INBOX', 77_777);
  await mailroom.run();
  expect(await mailroom.import('corpus')).toMatchObject({ status: 'done', imported: 0 });
  expect(await idsOf('corpus')).toEqual(before);
});

it('only missing rows are written, no deleted asset comes back, and an asset that cannot be read is named', {
  timeout: 180_000,
}, async () => {
  const mails = mixedMails(5, 5, 2_000);
  await deliverAll(dovecot, mails);
  await imapAccount(mailroom, 'corpus', dovecot);
  await mailroom.import('corpus');
  const [deleted = '', lost = '', broken = '', ...others] = await idsOf('corpus');
  await mailroom.expect(204, 'DELETE', `/api/assets/${deleted}`);
  await mailroom.kill();
  const rows = await inboxRows(mailroom, 'corpus', 'a:');
  for (const { key } of rows.filter(({ key }) => key.endsWith(lost.slice('corpus.'.length)))) {
    await table('inbox').deleteEntity('corpus', key);
  }
  const description = assets().getBlockBlobClient(`corpus/${broken}/asset.json`);
  await description.upload('{', 1);
  await rebuild('corpus');
  expect(said).toEqual([
    `corpus: rows of 1 assets restored, of ${others.length} there already`,
    `  no row can be made of ${broken}: its asset.json is missing or not readable`,
  ]);
  await mailroom.run();
  for (const id of [lost, ...others]) await mailroom.expect(200, 'GET', `/api/assets/${id}`);
  expect((await mailroom.call('GET', `/api/assets/${deleted}`)).status).toBe(404);
});
