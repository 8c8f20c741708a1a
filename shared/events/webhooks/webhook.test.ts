import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { wants, webhookFields } from './webhook.ts';

const schema = z.strictObject(webhookFields);
const messages = (input: object) =>
  schema.safeParse({ url: 'https://dam.example.com/mail', ...input }).error?.issues.map(({ message }) => message) ?? [];

describe('a webhook', () => {
  it('gets all events where none are named', () => {
    const { events } = schema.parse({ url: 'https://dam.example.com/mail' });
    expect(wants({ url: '', secret: '', events }, 'mailroom.account.failing')).toBe(true);
  });

  it.each([
    [['mailroom.mail.*'], 'mailroom.mail.imported', true],
    [['mailroom.mail.*'], 'mailroom.message.sent', false],
    [['mailroom.message.sent'], 'mailroom.message.sent', true],
    [['mailroom.message.sent'], 'mailroom.message.failed', false],
    [['mailroom.m*'], 'mailroom.account.failing', false],
    [['*'], 'mailroom.account.failing', true],
    [['mailroom.message.failed', 'mailroom.account.*'], 'mailroom.account.recovered', true],
  ])('that names %j, asked about %s: %s', (events, type, wanted) => {
    expect(messages({ events })).toEqual([]);
    expect(wants({ url: '', secret: '', events }, type)).toBe(wanted);
  });

  it.each([[['mailroom.mails.*']], [['mailroom.message.send']], [['mailroom.*.sent']], [['']], [[]]])(
    'refuses %j as events',
    (events) => {
      expect(messages({ events })).toHaveLength(1);
    },
  );

  it.each([
    'dam.example.com/mail',
    'ftp://dam.example.com/',
    'https://user@dam.example.com/',
    'https://:password@dam.example.com/',
    'https://dam.example.com/#top',
    ' https://dam.example.com/',
    'https://',
    `https://dam.example.com/${'x'.repeat(2048)}`,
  ])('refuses %s as a target', (url) => {
    expect(messages({ url })).toHaveLength(1);
  });
});
