import { expect, it } from 'vitest';
import type { SourceId } from '../../adapters/store.ts';
import type { Asset } from '../../assets/asset.ts';
import { assetLocalId, sourceText } from '../keys.ts';
import { sourceOfAsset } from './source-of-asset.ts';

const account = 'corpus';

/** As much of an asset as says where it is from. */
function read(source: SourceId, localId = assetLocalId(account, source)): SourceId | undefined {
  return sourceOfAsset({ account, sourceId: sourceText(source) } as Asset, localId);
}

it.each<SourceId>([
  { store: 'imap://user@mail.example.com', scope: 'INBOX;1700000000', item: '0000000042' },
  { store: 'imap://user@mail.example.com', scope: 'a;b;;c;1700000000', item: '0000000042' },
  { store: 'imap://us;er@mail.example.com', scope: ';INBOX;7', item: '1' },
  { store: 'pop3://user@mail.example.com', scope: '', item: 'uidl;with;semicolons' },
  { store: 'graph:user@example.com', scope: '', item: 'AAMkAD=' },
])('finds the parts of %j', (source) => {
  expect(read(source)).toEqual(source);
});

it('finds none where the id is not that of the source, or where there are more parts than a source has', () => {
  const source = { store: 'imap://user@mail.example.com', scope: 'INBOX;7', item: '1' };
  expect(read(source, assetLocalId('other', source))).toBeUndefined();
  expect(read({ ...source, scope: 'x;'.repeat(100) })).toBeUndefined();
});

it('parts as many pieces as 64, and no more', () => {
  const source = { store: 'imap://user@mail.example.com', item: '1' };
  const fits = { ...source, scope: `x${';x'.repeat(61)}` };
  expect(read(fits)).toEqual(fits);
  expect(read({ ...source, scope: `x${';x'.repeat(62)}` })).toBeUndefined();
});
