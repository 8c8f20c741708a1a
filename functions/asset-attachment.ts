import { endpoint } from './endpoint.ts';

endpoint(
  'asset-attachment',
  { method: 'GET', route: 'assets/{id}/attachments/{n:int}', role: 'Mailroom.Read' },
  async ({ param, services, signal }) => {
    const { download } = await import('./download.ts');
    const { attachment, content } = await services.assets.attachment(param('id'), Number(param('n')), { signal });
    // The blob's name without its number: the safe form of the sender's name.
    const name = attachment.path.slice(attachment.path.lastIndexOf('/') + 1 + `${attachment.n}-`.length);
    return download(content.stream, content.size, attachment.contentType, name);
  },
);
