import type { z } from 'zod';
import { assetSchema } from '../../assets/asset.ts';
import { assetSummarySchema } from '../../assets/summary.ts';
import { exampleIds, exampleMessageId } from '../openapi/examples.ts';
import { bytes, downloadAnswers, json, list, type Operation } from '../openapi/operation.ts';
import { listQuery } from '../paging.ts';
import { htmlQuery } from './html.ts';
import { assetFilters } from './list.ts';

const summary: z.input<typeof assetSummarySchema> = {
  id: exampleIds.asset,
  account: 'corpus',
  folder: 'INBOX',
  sourceId: 'imap:mail.example.com:corpus/INBOX;17/42',
  messageId: exampleMessageId,
  subject: 'Report for March',
  from: [{ name: 'Jane Doe', address: 'jane@example.org' }],
  to: [{ name: '', address: 'corpus@example.com' }],
  cc: [],
  replyTo: [],
  date: '2026-03-02T07:57:58.000Z',
  receivedAt: '2026-03-02T07:58:00.000Z',
  importedAt: '2026-03-02T08:00:01.000Z',
  size: 18_432,
  sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  inReplyTo: null,
  references: [],
  attachments: [
    {
      n: 1,
      filename: 'report.csv',
      contentType: 'text/csv',
      size: 21,
      sha256: '2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae',
      contentId: null,
      inline: false,
      path: `corpus/${exampleIds.asset}/attachments/1-report.csv`,
    },
  ],
  bounce: null,
  flags: {
    autoSubmitted: false,
    bounce: false,
    list: false,
    calendar: false,
    encrypted: false,
    signed: false,
    oversize: false,
  },
  defects: [],
  authenticationResults: [
    {
      authservId: 'mail.example.com',
      results: [
        {
          method: 'dkim',
          result: 'pass',
          reason: null,
          properties: [{ ptype: 'header', property: 'd', value: 'example.org' }],
        },
      ],
      field: 'mail.example.com; dkim=pass (2048-bit key) header.d=example.org',
    },
  ],
  attachmentCount: 1,
};

const { attachmentCount: _, ...described } = summary;

/** An asset, as two routes answer it. */
export const exampleAsset: z.input<typeof assetSchema> = { ...described, text: 'Hello,\n', html: null };

/** What can be done with imported mail. */
export const assetOperations = {
  'assets-list': {
    route: 'GET /assets',
    needs: 'Mailroom.Read',
    summary: 'List imported mail, newest import first',
    query: listQuery(assetFilters),
    answers: { 200: { description: 'A page of assets.', content: list(assetSummarySchema, summary) } },
  },
  'asset-get': {
    route: 'GET /assets/{id}',
    needs: 'Mailroom.Read',
    summary: 'Read the description of one mail',
    answers: { 200: { description: 'The asset.', content: json(assetSchema, exampleAsset) } },
    problems: [404],
  },
  'asset-delete': {
    route: 'DELETE /assets/{id}',
    needs: 'Mailroom.Admin',
    summary: 'Remove an asset',
    description: 'Its mail is not imported again.',
    answers: { 204: { description: 'It is removed.' } },
    problems: [404],
  },
  'asset-mime': {
    route: 'GET /assets/{id}/mime',
    needs: 'Mailroom.Read',
    summary: 'Download the mail as it came',
    headers: ['range', 'ifRange', 'ifNoneMatch'],
    answers: downloadAnswers('message/rfc822', 'The mail.'),
    problems: [404, 416],
  },
  'asset-html': {
    route: 'GET /assets/{id}/html',
    needs: 'Mailroom.Read',
    summary: 'Show the body as a page',
    description: 'Sanitised, in a sandbox without scripts. Images from elsewhere are left out unless `remote=true`.',
    query: htmlQuery,
    headers: ['ifNoneMatch'],
    answers: {
      200: { description: 'The page.', content: bytes('text/html', 'HTML.'), headers: ['etag', 'remoteContent'] },
      304: { description: 'The caller has it.', headers: ['etag'] },
    },
    problems: [404],
  },
  'asset-attachment': {
    route: 'GET /assets/{id}/attachments/{n}',
    needs: 'Mailroom.Read',
    summary: 'Download one attachment, decoded',
    description: 'A type that a browser could run is application/octet-stream.',
    headers: ['range', 'ifRange', 'ifNoneMatch'],
    answers: downloadAnswers('*/*', 'The attachment.'),
    problems: [404, 416],
  },
} as const satisfies Readonly<Record<string, Operation>>;
