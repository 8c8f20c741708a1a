import { endpoint } from './endpoint.ts';

endpoint(
  'asset-mime',
  { method: 'GET', route: 'assets/{id}/mime', role: 'Mailroom.Read' },
  async ({ param, services, signal }) => {
    const { download } = await import('./download.ts');
    const { stream, size } = await services.assets.mime(param('id'), { signal });
    return download(stream, size, 'message/rfc822', 'message.eml');
  },
);
