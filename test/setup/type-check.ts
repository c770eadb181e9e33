import { join, relative } from "node:path";
import ts from "typescript";
import { root } from "./repository.ts";

export interface TypeFault {
  /** The module's name as given, or a file's full path. */
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export interface TypeCheck {
  /** Where the modules stand: what they import is looked up from here. */
  readonly folder: string;
  /** File names (a `.tsx` ending allows JSX) and texts. Nothing is written to disk. */
  readonly modules: ReadonlyMap<string, string>;
  readonly options: ts.CompilerOptions;
  /** Which other files' faults count too, by full path. */
  readonly also?: (path: string) => boolean;
}

/** Type-checks texts as if they were ES modules in a folder. */
export function typeCheck({ folder, modules, options, also = () => false }: TypeCheck): TypeFault[] {
  const texts = new Map([...modules].map(([name, text]) => [join(folder, name), text]));
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.getCurrentDirectory = () => folder;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = texts.get(path);
    if (text === undefined) return getSourceFile(path, languageVersion, ...rest);
    return ts.createSourceFile(path, text, languageVersion);
  };
  const program = ts.createProgram([...texts.keys()], options, host);
  const wanted = program.getSourceFiles().filter(({ fileName }) => texts.has(fileName) || also(fileName));
  const diagnostics = wanted.flatMap((file) => [
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file),
  ]);
  return [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics(), ...diagnostics].map(
    ({ file, start = 0, messageText }) => ({
      file:
        file === undefined ? "" : texts.has(file.fileName) ? relative(folder, file.fileName) : file.fileName,
      line: file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line + 1,
      text: ts.flattenDiagnosticMessageText(messageText, "\n"),
    }),
  );
}

/** The options of the repository's own tsconfig.json, under which `everstream/*` leads to the sources. */
export function repositoryOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  return ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root).options;
}
