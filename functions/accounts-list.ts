import { endpoint } from './endpoint.ts';

endpoint('accounts-list', { method: 'GET', route: 'accounts', role: 'Mailroom.Read' }, async (call) => {
  const { parsePaging, encodeContinue } = await import('../shared/http/paging.ts');
  const { listToken, pageOf } = await import('../shared/http/name-pages.ts');
  const { newestFirst } = await import('../shared/platform/ids.ts');
  const accounts = await call.services.accounts.list({ signal: call.signal });
  const keyOf = ({ account, createdAt }: (typeof accounts)[number]) => `${newestFirst(createdAt)}:${account.name}`;
  const page = pageOf(accounts, keyOf, parsePaging(call.request.query, listToken));
  return {
    jsonBody: {
      items: page.items.map(({ account }) => account),
      ...(page.next === undefined ? {} : { continue: encodeContinue(page.next) }),
    },
  };
});
