import type { Mailroom } from './mailroom.ts';

export interface GraphAccountOptions {
  readonly user: string;
  readonly rule?: Readonly<Record<string, unknown>>;
  readonly folders?: readonly string[];
  readonly push?: boolean;
  readonly enabled?: boolean;
  readonly transport?: Readonly<Record<string, unknown>> | null;
  readonly allowedFrom?: readonly string[];
}

/** Makes (or changes) an account of a Graph mailbox, with the test's own app registration. */
export async function graphAccount(mailroom: Mailroom, name: string, options: GraphAccountOptions): Promise<void> {
  const secret = `${name}-client-secret`;
  await mailroom.secret(name, secret, 'test-client-secret');
  const end = {
    protocol: 'graph',
    userId: options.user,
    credential: {
      type: 'clientSecret',
      tenantId: '11111111-1111-4111-8111-111111111111',
      clientId: '22222222-2222-4222-8222-222222222222',
      secret,
    },
  };
  await mailroom.expect([200, 201], 'PUT', `/api/accounts/${name}`, {
    body: {
      from: options.user,
      ...(options.allowedFrom ? { allowedFrom: options.allowedFrom } : {}),
      transport: options.transport === null ? null : { ...end, ...options.transport },
      store: {
        ...end,
        folders: options.folders ?? ['inbox'],
        ...(options.push === undefined ? {} : { push: options.push }),
      },
      ...(options.enabled === undefined ? {} : { enabled: options.enabled }),
      import: { schedule: null, ...options.rule },
    },
  });
}
