import { createRequire } from 'node:module';

/** The little that is used of Microsoft's Kusto parser, which is made of .NET code and lives in the global object. */
interface Diagnostic {
  readonly Message: string;
  readonly Start: number;
}
interface KustoLanguage {
  readonly Symbols: {
    readonly TableSymbol: { From(schema: string): { WithName(name: string): object } };
    readonly DatabaseSymbol: { readonly $ctor1: new (name: string, tables: readonly object[]) => object };
  };
  readonly GlobalState: { readonly Default: { WithDatabase(database: object): object } };
  readonly KustoCode: {
    ParseAndAnalyze(
      query: string,
      globals: object,
    ): { GetDiagnostics(): { readonly Count: number; getItem(index: number): Diagnostic } };
  };
}

/** Columns of each service's log of a storage account that are used. */
const storageLogs =
  '(TimeGenerated: datetime, OperationName: string, StatusCode: string, StatusText: string, Uri: string, AccountName: string)';

/** Columns that are used of Azure Monitor's tables (Microsoft Learn, "AppTraces", "AppRequests", "StorageQueueLogs"). */
const tables = {
  AppTraces:
    '(TimeGenerated: datetime, Message: string, SeverityLevel: int, OperationId: string, Properties: dynamic, AppRoleName: string)',
  AppRequests:
    '(TimeGenerated: datetime, Name: string, OperationId: string, ResultCode: string, DurationMs: real, Success: bool, AppRoleName: string)',
  StorageBlobLogs: storageLogs,
  StorageQueueLogs: storageLogs,
  StorageTableLogs: storageLogs,
} as const;

let loaded: { readonly language: KustoLanguage; readonly globals: object } | undefined;

function load() {
  if (loaded) return loaded;
  const require = createRequire(import.meta.url);
  require('@kusto/language-service-next/bridge.min.js');
  require('@kusto/language-service-next/Kusto.Language.Bridge.min.js');
  const language = (globalThis as unknown as { Kusto: { Language: KustoLanguage } }).Kusto.Language;
  const { TableSymbol, DatabaseSymbol } = language.Symbols;
  const symbols = Object.entries(tables).map(([name, schema]) => TableSymbol.From(schema).WithName(name));
  const globals = language.GlobalState.Default.WithDatabase(new DatabaseSymbol.$ctor1('workspace', symbols));
  loaded = { language, globals };
  return loaded;
}

/** What Microsoft's parser has against a query over a workspace: syntax, unknown columns, functions, types. */
export function kustoMistakes(query: string): string[] {
  const { language, globals } = load();
  const found = language.KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, index) => {
    const { Message, Start } = found.getItem(index);
    return `${Message} (${query.slice(Start, Start + 40).split('\n')[0]})`;
  });
}
