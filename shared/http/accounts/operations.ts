import { z } from 'zod';
import { accountViewSchema, savedAccountSchema } from '../../accounts/account-view.ts';
import { accountInputSchema } from '../../accounts/model.ts';
import { propertiesFormSchema } from '../../accounts/properties/properties-form.ts';
import { secretInputSchema } from '../../accounts/put-secret.ts';
import { verifyInputSchema } from '../../adapters/verify/trial.ts';
import { verificationSchema } from '../../adapters/verify/verify.ts';
import { folderListSchema } from '../../inbox/folders.ts';
import { secretReceiptSchema } from '../../secrets/secret-store.ts';
import { exampleRun } from '../openapi/examples.ts';
import { json, list, type Operation } from '../openapi/operation.ts';
import { listQuery } from '../paging.ts';
import { deletedAccountSchema, listedAccountSchema, retriedAccountSchema, statusAnswerSchema } from './answers.ts';
import { accountFilters, deleteQuery, putQuery } from './query.ts';

const server = {
  host: 'mail.example.com',
  tls: { starttls: 'preferred', ca: null, minVersion: 'TLSv1.2' },
  connectionTimeout: 30_000,
  timeout: 60_000,
} as const;

const account: z.input<typeof accountViewSchema> = {
  name: 'corpus',
  from: 'Corpus <corpus@example.com>',
  allowedFrom: ['*@example.com'],
  transport: {
    protocol: 'smtp',
    ...server,
    port: 587,
    auth: { type: 'password', user: 'corpus', secret: 'corpus-smtp' },
    saveToSent: false,
  },
  store: {
    protocol: 'imaps',
    ...server,
    port: 993,
    auth: { type: 'password', user: 'corpus', secret: 'corpus-imap' },
    folders: ['INBOX'],
  },
  import: {
    schedule: '0 */5 * * * *',
    markRead: true,
    delete: { afterDays: 3 },
    deleteMode: 'permanent',
    moveTo: null,
    since: 'all',
    maxMessageSize: 157_286_400,
  },
  limits: { perMinute: null, connections: 5 },
  webhook: { url: 'https://dam.example.com/mail', secret: 'corpus-webhook', events: ['mailroom.mail.*'] },
  enabled: true,
  debug: false,
};

const accountBody = z.union([
  accountInputSchema.meta({ id: 'AccountInput', description: 'An account, field by field.' }),
  propertiesFormSchema.meta({ id: 'AccountProperties', description: 'An account in Jakarta-Mail properties.' }),
]);

const saved = {
  description: 'The account as it will be used, with what to be warned of.',
  content: json(savedAccountSchema, { ...account, warnings: [] }),
} as const;

const { name: _, ...fields } = account;

/** What can be done with accounts. */
export const accountOperations = {
  'accounts-list': {
    route: 'GET /accounts',
    needs: 'Mailroom.Read',
    summary: 'List the accounts, newest first',
    description: 'With `health=true` each with what its status has; no mail server is asked.',
    query: listQuery(accountFilters),
    answers: { 200: { description: 'A page of accounts.', content: list(listedAccountSchema, account) } },
  },
  'account-get': {
    route: 'GET /accounts/{account}',
    needs: 'Mailroom.Read',
    summary: 'Read an account as it is used',
    answers: { 200: { description: 'The account.', content: json(accountViewSchema, account), headers: ['etag'] } },
    problems: [404],
  },
  'account-put': {
    route: 'PUT /accounts/{account}',
    needs: 'Mailroom.Admin',
    summary: 'Make or replace an account',
    description:
      'From its fields, or from Jakarta-Mail properties, whose passwords go to Key Vault. `dryRun=true` answers the same and stores nothing.',
    query: putQuery,
    headers: ['ifMatch', 'ifNoneMatch'],
    body: { content: json(accountBody, fields) },
    answers: { 200: { ...saved }, 201: { ...saved, headers: ['location'] } },
    problems: [409, 412, 413],
  },
  'account-patch': {
    route: 'PATCH /accounts/{account}',
    needs: 'Mailroom.Admin',
    summary: 'Change an account',
    description: 'By a JSON merge patch (RFC 7396) of what `GET` answers; else as `PUT`.',
    query: putQuery,
    headers: ['ifMatch', 'ifNoneMatch'],
    body: {
      content: {
        ...json(z.looseObject({}).meta({ description: 'Fields to replace; null removes one.' }), { enabled: false }),
        'application/merge-patch+json': {
          schema: z.looseObject({}).meta({ description: 'Fields to replace; null removes one.' }),
          example: { import: { delete: 'never' } },
        },
      },
    },
    answers: { 200: { ...saved } },
    problems: [404, 409, 412, 413],
  },
  'account-delete': {
    route: 'DELETE /accounts/{account}',
    needs: 'Mailroom.Admin',
    summary: 'Remove an account',
    description: 'What it imported stays, and so do its secrets, unless `secrets=true` deletes them as well.',
    query: deleteQuery,
    headers: ['ifMatch', 'ifNoneMatch'],
    answers: {
      200: {
        description: 'It is removed. These are the secrets that it had.',
        content: json(deletedAccountSchema, {
          account: 'corpus',
          secrets: [{ name: 'corpus-imap', deleted: false }],
        }),
      },
      204: { description: 'It is removed, and had no secrets.' },
    },
    problems: [404, 409, 412],
  },
  'account-secret-put': {
    route: 'PUT /accounts/{account}/secrets/{name}',
    needs: 'Mailroom.Admin',
    summary: 'Write a secret to Key Vault',
    description: "Its name starts with the account's and a dash. No route reads a secret.",
    body: { content: json(secretInputSchema, { value: 'a password', expiresAt: '2027-01-01T00:00:00Z' }) },
    answers: {
      200: {
        description: 'It is written.',
        content: json(secretReceiptSchema, {
          name: 'corpus-imap',
          version: '0123456789abcdef0123456789abcdef',
          expiresAt: '2027-01-01T00:00:00.000Z',
        }),
      },
    },
    problems: [409, 413],
  },
  'account-verify': {
    route: 'POST /accounts/{account}/verify',
    needs: 'Mailroom.Admin',
    summary: 'Try transport and store step by step',
    description:
      'Changes and sends nothing. A store with `push` has a step `subscription` for each folder. With a body it tries what is not stored, and stores nothing: `account` as for `PUT`, `secrets` by name.',
    body: {
      optional: true,
      content: json(verifyInputSchema.extend({ account: accountBody.nullish() }), {
        account: fields,
        secrets: { 'corpus-imap': 'a password' },
      }),
    },
    answers: {
      200: {
        description: 'What was found.',
        content: json(verificationSchema, {
          account: 'corpus',
          status: 'failed',
          transport: null,
          store: {
            protocol: 'imaps',
            status: 'failed',
            steps: [
              { step: 'resolve', status: 'ok', ms: 3 },
              { step: 'connect', status: 'failed', ms: 12, code: 'ECONNREFUSED', hint: 'Check host and port.' },
            ],
          },
        }),
      },
    },
    problems: [404, 409, 413],
  },
  'account-folders': {
    route: 'GET /accounts/{account}/folders',
    needs: 'Mailroom.Read',
    summary: 'List the folders of the mailbox',
    description: 'The server is asked now; 503 where it cannot be.',
    answers: {
      200: {
        description: 'Its folders.',
        content: json(folderListSchema, {
          items: [{ name: 'INBOX', total: 12, unread: 3, use: 'inbox', selected: true }],
        }),
      },
    },
    problems: [404, 409],
  },
  'account-status': {
    route: 'GET /accounts/{account}/status',
    needs: 'Mailroom.Read',
    summary: 'See how an account is doing',
    answers: {
      200: {
        description: 'Last run, what waits, what fails, which secret ends.',
        content: json(statusAnswerSchema, {
          account: 'corpus',
          enabled: true,
          lastRun: exampleRun,
          backlog: 0,
          oldestNotImported: null,
          pending: 0,
          quarantined: 0,
          deletionsToCome: 4,
          disposalsFailing: { count: 0, last: null },
          disposalsDropped: 0,
          failing: [],
          lastErrors: [],
          secrets: [{ name: 'corpus-imap', state: 'ok', expiresAt: null }],
          push: {
            reachable: true,
            lastNotification: '2026-03-02T08:00:00.000Z',
            folders: [{ folder: 'inbox', state: 'active', expiresAt: '2026-03-05T06:00:00.000Z' }],
          },
          transport: { waiting: 0, oldestWaiting: null, failedWithinDay: 0, lastFailure: null },
          webhook: {
            state: 'ok',
            waiting: 0,
            nextAttemptAt: null,
            lastSuccess: '2026-03-02T08:00:02.000Z',
            failingSince: null,
            givenUp: 0,
          },
        }),
      },
    },
    problems: [404],
  },
  'account-retry': {
    route: 'POST /accounts/{account}/retry',
    needs: 'Mailroom.Admin',
    summary: 'Try all waiting mail of an account now',
    answers: {
      202: {
        description: 'It is due now.',
        content: json(retriedAccountSchema, { account: 'corpus' }),
        headers: ['location'],
      },
    },
    problems: [404, 409],
  },
} as const satisfies Readonly<Record<string, Operation>>;
