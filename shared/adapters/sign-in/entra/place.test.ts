import { expect, it } from 'vitest';
import { exchangePlace } from './place.ts';

it.each([
  ['outlook.office365.com', 'https://outlook.office365.com', 'https://login.microsoftonline.com'],
  ['smtp.office365.com', 'https://outlook.office365.com', 'https://login.microsoftonline.com'],
  ['relay.example.com', 'https://outlook.office365.com', 'https://login.microsoftonline.com'],
  ['office365.us.example.com', 'https://outlook.office365.com', 'https://login.microsoftonline.com'],
  ['notoffice365.us', 'https://outlook.office365.com', 'https://login.microsoftonline.com'],
  ['outlook.office365.us', 'https://outlook.office365.us', 'https://login.microsoftonline.us'],
  ['SMTP.Office365.us.', 'https://outlook.office365.us', 'https://login.microsoftonline.us'],
  ['outlook-dod.office365.us', 'https://outlook.office365.us', 'https://login.microsoftonline.us'],
  ['partner.outlook.cn', 'https://partner.outlook.cn', 'https://login.chinacloudapi.cn'],
])('a mailbox at %s gets tokens for %s from %s', (host, resource, authorityHost) => {
  expect(exchangePlace(host)).toEqual({
    authorityHost,
    privateAuthority: false,
    scope: `${resource}/.default`,
    resource: 'Exchange Online',
  });
});

it('takes another authority as private, which turns instance discovery off', () => {
  expect(exchangePlace('outlook.office365.us', { authorityHost: 'https://login.private.example' })).toMatchObject({
    authorityHost: 'https://login.private.example',
    privateAuthority: true,
    scope: 'https://outlook.office365.us/.default',
  });
});
