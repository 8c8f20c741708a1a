/**
 * Operations that Microsoft documents and the OpenAPI subset leaves out: child folders, one attachment with its content,
 * and three of subscriptions. In the subset's own form; the schemas are the subset's.
 */

const schema = (name: string) => ({ $ref: `#/components/schemas/microsoft.graph.${name}` });
const parameter = (name: string) => ({ $ref: `#/components/parameters/${name}` });
const json = (name: string) => ({ content: { 'application/json': { schema: schema(name) } } });

const errors = {
  '429': { $ref: '#/components/responses/throttled' },
  '4XX': { $ref: '#/components/responses/error4' },
  '5XX': { $ref: '#/components/responses/error5' },
};
const headers = [parameter('client-request-id'), parameter('prefer')];
const listOptions = ['select', 'expand', 'filter', 'orderby', 'top', 'skip', 'count'].map(parameter);

export const supplementPaths = {
  // https://learn.microsoft.com/graph/api/mailfolder-list-childfolders and mailfolder-post-childfolders
  '/users/{user-id}/mailFolders/{mailFolder-id}/childFolders': {
    get: {
      operationId: 'user.mailFolder.ListChildFolders',
      parameters: [...headers, parameter('includeHiddenFolders'), ...listOptions],
      responses: { '200': json('mailFolderCollectionResponse'), ...errors },
    },
    post: {
      operationId: 'user.mailFolder.CreateChildFolder',
      parameters: headers,
      requestBody: { required: true, ...json('mailFolder') },
      responses: { '201': json('mailFolder'), ...errors },
    },
  },
  // https://learn.microsoft.com/graph/api/attachment-get and attachment-delete
  '/users/{user-id}/messages/{message-id}/attachments/{attachment-id}': {
    get: {
      operationId: 'user.message.GetAttachment',
      parameters: [...headers, parameter('select'), parameter('expand')],
      responses: { '200': json('attachment'), ...errors },
    },
    delete: {
      operationId: 'user.message.DeleteAttachment',
      parameters: headers,
      responses: { '204': {}, ...errors },
    },
  },
  '/users/{user-id}/messages/{message-id}/attachments/{attachment-id}/$value': {
    get: {
      operationId: 'user.message.GetAttachmentContent',
      parameters: headers,
      responses: { '200': { content: { '*/*': {} } }, ...errors },
    },
  },
  // https://learn.microsoft.com/graph/api/subscription-list, subscription-get and subscription-reauthorize
  '/subscriptions': {
    get: {
      operationId: 'subscription.ListSubscription',
      parameters: [...headers, parameter('skiptoken')],
      responses: {
        '200': {
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['value'],
                properties: {
                  '@odata.context': { type: 'string' },
                  '@odata.nextLink': { type: 'string' },
                  value: { type: 'array', items: schema('subscription') },
                },
                additionalProperties: false,
              },
            },
          },
        },
        ...errors,
      },
    },
  },
  '/subscriptions/{subscription-id}': {
    get: {
      operationId: 'subscription.GetSubscription',
      parameters: headers,
      responses: { '200': json('subscription'), ...errors },
    },
  },
  '/subscriptions/{subscription-id}/reauthorize': {
    post: {
      operationId: 'subscription.reauthorize',
      parameters: headers,
      responses: { '204': {}, ...errors },
    },
  },
};
