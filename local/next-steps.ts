import type { Laptop } from './laptop.ts';
import { type Environment, isGiven } from './laptop-settings.ts';

/** What somebody who has just started the service does next: variables for the README's commands, and a first call. */
export function nextSteps({ url, keys, sink, mailbox, graph, app }: Laptop, env: Environment): readonly string[] {
  // A key that was given is known to whoever gave it, and is repeated nowhere.
  const key = isGiven(env, 'LOCAL_FUNCTION_KEY') ? '"$LOCAL_FUNCTION_KEY"' : keys.functionKey;
  const variables = [
    `URL=${url}/api`,
    `KEY=${key}`,
    `SMTP_PORT=${sink.port}`,
    `IMAP_PORT=${mailbox.port}`,
    `PASSWORD=${keys.mailboxPassword}`,
  ];
  const secret = isGiven(env, 'AZURE_CLIENT_SECRET') ? '"$AZURE_CLIENT_SECRET"' : app.secret;
  const forGraph = graph ? [`TENANT=${app.tenantId} CLIENT=${app.clientId} CLIENT_SECRET=${secret}`] : [];
  return [
    '',
    `The console, in a browser: ${url}/api/console (it asks for the function key)`,
    '',
    'Try it, in another terminal (the README goes on from here):',
    '',
    `  export ${variables.join(' ')}`,
    ...forGraph.map((line) => `  export ${line}`),
    '  curl -sS "$URL/accounts" -H "x-functions-key: $KEY"',
    '',
  ];
}
