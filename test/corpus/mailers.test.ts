import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { collect } from '../../shared/mime/collect.test-support.ts';

/** Mails as mail programs and servers write them. What is right was written down with them, by other means than ours. */
const folder = fileURLToPath(new URL('./mailers/', import.meta.url));

const address = z.tuple([z.string(), z.string()]);
const rightSchema = z.strictObject({
  subject: z.string().optional(),
  subjectHas: z.string().optional(),
  from: z.array(address).optional(),
  to: z.array(address).optional(),
  cc: z.array(address).optional(),
  date: z.string().optional(),
  /** Without white space at its end. */
  text: z.string().optional(),
  textHas: z.array(z.string()).optional(),
  textNot: z.array(z.string()).optional(),
  htmlHas: z.string().optional(),
  attachments: z.array(z.tuple([z.string().nullable(), z.string(), z.number()])).optional(),
  attachmentNames: z.array(z.string()).optional(),
  attachmentNamesHas: z.array(z.string()).optional(),
  attachmentTypes: z.array(z.string()).optional(),
  /** Contents of the attachments, in base64. */
  bytes: z.array(z.string()).optional(),
  inline: z.array(z.boolean()).optional(),
  flags: z.array(z.string()).optional(),
  notFlags: z.array(z.string()).optional(),
  bounce: z
    .object({ recipients: z.array(z.tuple([z.string(), z.string(), z.string()])), messageId: z.string() })
    .nullable()
    .optional(),
  defects: z.array(z.string()).optional(),
});

const right = z
  .record(z.string(), rightSchema)
  .parse(JSON.parse(readFileSync(new URL('./mailers/expected.json', import.meta.url), 'utf8')));

test.each(Object.entries(right))('%s', async (name, expected) => {
  const { mail, contents } = await collect(readFileSync(`${folder}${name}.eml`));
  const addresses = (list: typeof mail.from) => list.map((each) => [each.name, each.address]);
  const read = {
    subject: mail.subject,
    from: addresses(mail.from),
    to: addresses(mail.to),
    cc: addresses(mail.cc),
    date: mail.date,
    text: mail.text?.trimEnd(),
    attachments: mail.attachments.map(({ filename, contentType, size }) => [filename ?? null, contentType, size]),
    attachmentNames: mail.attachments.map(({ filename }) => filename),
    attachmentTypes: mail.attachments.map(({ contentType }) => contentType),
    bytes: contents.map((content) => content.toString('base64')),
    inline: mail.attachments.map(({ inline }) => inline),
    bounce: mail.bounce
      ? {
          recipients: mail.bounce.recipients.map(({ address, action, status }) => [address, action, status]),
          messageId: mail.bounce.messageId,
        }
      : null,
    defects: [...mail.defects],
  };
  const { subjectHas, textHas, textNot, htmlHas, attachmentNamesHas, flags = [], notFlags = [], ...whole } = expected;
  expect(read).toMatchObject(whole);
  if (subjectHas !== undefined) expect(mail.subject).toContain(subjectHas);
  if (htmlHas !== undefined) expect(mail.html).toContain(htmlHas);
  for (const some of textHas ?? []) expect(mail.text).toContain(some);
  for (const some of textNot ?? []) expect(mail.text).not.toContain(some);
  expect(read.attachmentNames).toEqual(expect.arrayContaining(attachmentNamesHas ?? []));
  const set = Object.entries(mail.flags).flatMap(([flag, isSet]) => (isSet ? [flag] : []));
  expect(set).toEqual(expect.arrayContaining(flags));
  expect(set.filter((flag) => notFlags.includes(flag))).toEqual([]);
});
