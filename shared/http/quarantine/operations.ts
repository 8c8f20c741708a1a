import type { z } from 'zod';
import { assetSchema } from '../../assets/asset.ts';
import { quarantinedMailDetailsSchema, quarantinedMailSchema } from '../../inbox/quarantine/quarantined-mails.ts';
import { exampleAsset } from '../assets/operations.ts';
import { exampleIds } from '../openapi/examples.ts';
import { downloadAnswers, json, list, type Operation } from '../openapi/operation.ts';
import { listQuery } from '../paging.ts';
import { quarantineFilters } from './list.ts';

const mail: z.input<typeof quarantinedMailSchema> = {
  id: exampleIds.asset,
  account: 'corpus',
  folder: 'INBOX',
  quarantinedAt: '2026-03-02T08:00:00.000Z',
  reason: 'The server gave no content of this mail.',
  attempts: 5,
  hasMime: false,
};

/** What can be done with mail that could not be checked in. */
export const quarantineOperations = {
  'quarantine-list': {
    route: 'GET /quarantine',
    needs: 'Mailroom.Read',
    summary: 'List quarantined mail, newest first',
    query: listQuery(quarantineFilters),
    answers: { 200: { description: 'A page of quarantined mail.', content: list(quarantinedMailSchema, mail) } },
  },
  'quarantine-get': {
    route: 'GET /quarantine/{id}',
    needs: 'Mailroom.Read',
    summary: 'Read one quarantined mail',
    answers: {
      200: {
        description: 'The mail, with where it lies.',
        content: json(quarantinedMailDetailsSchema, {
          ...mail,
          sourceId: 'imap:mail.example.com:corpus/INBOX;17/42',
          receivedAt: '2026-03-02T07:58:00.000Z',
          size: null,
          sha256: null,
        }),
      },
    },
    problems: [404],
  },
  'quarantine-mime': {
    route: 'GET /quarantine/{id}/mime',
    needs: 'Mailroom.Read',
    summary: 'Download its bytes, where the server gave them',
    headers: ['range', 'ifRange', 'ifNoneMatch'],
    answers: downloadAnswers('message/rfc822', 'The mail.'),
    problems: [404, 416],
  },
  'quarantine-replay': {
    route: 'POST /quarantine/{id}/replay',
    needs: 'Mailroom.Admin',
    summary: 'Check it in again',
    description: '409 with the reason where it still cannot be read, or there are no bytes.',
    answers: { 200: { description: 'The asset it became.', content: json(assetSchema, exampleAsset) } },
    problems: [404, 409],
  },
  'quarantine-delete': {
    route: 'DELETE /quarantine/{id}',
    needs: 'Mailroom.Admin',
    summary: 'Drop it for good',
    description: 'It is not imported again, and its original stays.',
    answers: { 204: { description: 'It is dropped.' } },
    problems: [404, 409],
  },
} as const satisfies Readonly<Record<string, Operation>>;
