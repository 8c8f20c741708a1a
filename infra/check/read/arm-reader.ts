import { z } from 'zod';
import { copyName, parseArmExpression } from './arm-expression.ts';
import {
  call,
  type Entry,
  type Expression,
  InfraError,
  type Loop,
  literal,
  type ModuleDeclaration,
  type Program,
  type ResourceDeclaration,
} from './program.ts';

const copySchema = z.object({ name: z.string(), count: z.union([z.string(), z.number()]) });

const resourceSchema = z.looseObject({
  type: z.string(),
  apiVersion: z.string(),
  name: z.string(),
  existing: z.boolean().optional(),
  scope: z.string().optional(),
  condition: z.union([z.string(), z.boolean()]).optional(),
  copy: copySchema.optional(),
  properties: z.unknown().optional(),
});

const templateSchema = z.object({
  parameters: z
    .record(
      z.string(),
      z.object({
        type: z.string(),
        defaultValue: z.unknown().optional(),
        metadata: z.object({ description: z.string().optional() }).optional(),
      }),
    )
    .default({}),
  variables: z.record(z.string(), z.unknown()).default({}),
  resources: z.union([z.array(resourceSchema), z.record(z.string(), resourceSchema)]),
  outputs: z.record(z.string(), z.object({ type: z.string(), value: z.unknown() })).default({}),
});

const moduleSchema = z.object({
  parameters: z.record(z.string(), z.unknown()).default({}),
  template: z.unknown(),
});

type ArmResource = z.infer<typeof resourceSchema>;

/** What the ARM template of a Bicep file says. Throws InfraError, or ZodError where it is no template. */
export function readArmTemplate(json: unknown, name: string): Program {
  const template = templateSchema.parse(json);
  const declared: readonly (readonly [string, ArmResource])[] = Array.isArray(template.resources)
    ? template.resources.map((resource, i) => [`resource ${i}`, resource] as const)
    : Object.entries(template.resources);
  const isModule = ([, { type }]: readonly [string, ArmResource]) => type === 'Microsoft.Resources/deployments';
  return {
    name,
    parameters: Object.entries(template.parameters).map(([parameter, { type, defaultValue, metadata }]) => ({
      name: parameter,
      type: type.toLowerCase().replace('secure', ''),
      secure: type.toLowerCase().startsWith('secure'),
      description: metadata?.description,
      defaultValue: defaultValue === undefined ? undefined : toExpression(defaultValue),
    })),
    variables: new Map(
      Object.entries(template.variables)
        .flatMap(([key, value]) => entriesOf(key, value))
        .map(({ key, value }) => [key.kind === 'literal' ? String(key.value) : '', value]),
    ),
    resources: declared.filter((one) => !isModule(one)).map(([symbol, resource]) => resourceOf(symbol, resource)),
    modules: declared.filter(isModule).map(([symbol, resource]) => moduleOf(symbol, resource)),
    outputs: new Map(Object.entries(template.outputs).map(([key, { value }]) => [key, toExpression(value)])),
  };
}

const declarations: ReadonlySet<string> = new Set([
  'type',
  'apiVersion',
  'name',
  'existing',
  'scope',
  'condition',
  'copy',
  'dependsOn',
]);

function resourceOf(symbol: string, resource: ArmResource): ResourceDeclaration {
  const { type, apiVersion, name, existing, scope, condition, copy } = resource;
  const rest = Object.fromEntries(Object.entries(resource).filter(([key]) => !declarations.has(key)));
  return {
    symbol,
    type,
    apiVersion,
    existing: existing ?? false,
    name: toExpression(name),
    parent: undefined,
    scope: scope === undefined ? undefined : toExpression(scope),
    condition: condition === undefined ? undefined : toExpression(condition),
    loop: copy && loopOf('', copy.count),
    body: toExpression(rest),
  };
}

function moduleOf(symbol: string, { condition, properties }: ArmResource): ModuleDeclaration {
  const { parameters, template } = moduleSchema.parse(properties);
  return {
    symbol,
    condition: condition === undefined ? undefined : toExpression(condition),
    parameters: new Map(Object.entries(parameters).map(([key, value]) => [key, moduleValue(toExpression(value))])),
    program: readArmTemplate(template, symbol),
  };
}

/** A module's parameter is `{ "value": … }`, or an `if` that chooses between two of these. */
function moduleValue(parameter: Expression): Expression {
  if (parameter.kind === 'object') {
    const entry = parameter.entries.find(({ key }) => key.kind === 'literal' && key.value === 'value');
    if (entry) return entry.value;
  }
  if (parameter.kind === 'call') return { kind: 'property', of: parameter, name: 'value' };
  throw new InfraError('A parameter of a module has no value');
}

const loopOf = (copy: string, count: unknown): Loop => ({
  counter: copyName(copy),
  in: call('range', literal(0), toExpression(count)),
});

const propertyCopySchema = z.array(copySchema.extend({ input: z.unknown() }));

/** JSON whose strings may be expressions in brackets. */
function toExpression(json: unknown): Expression {
  if (typeof json === 'string') {
    if (json.startsWith('[[')) return literal(json.slice(1));
    return json.startsWith('[') && json.endsWith(']') ? parseArmExpression(json.slice(1, -1)) : literal(json);
  }
  if (json === null || typeof json === 'number' || typeof json === 'boolean') return literal(json);
  if (Array.isArray(json)) return { kind: 'array', items: json.map(toExpression) };
  if (typeof json !== 'object') throw new InfraError(`Not JSON: ${typeof json}`);
  return { kind: 'object', entries: Object.entries(json).flatMap(([key, value]) => entriesOf(key, value)) };
}

function entriesOf(key: string, value: unknown): readonly Entry[] {
  if (key === 'copy') {
    return propertyCopySchema.parse(value).map(({ name, count, input }) => ({
      key: literal(name),
      value: { kind: 'for', loop: loopOf(name, count), body: toExpression(input) },
    }));
  }
  return [{ key: toExpression(key), value: toExpression(value) }];
}
