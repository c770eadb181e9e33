// Stands in for LangChain's package, which the seed's chat asks for a model.

/** Yields what a test wants, as LangChain's chunks. */
export const model = {
  stream: async function* (_message: string): AsyncGenerator<{ content: string }> {
    yield { content: "" };
  },
};

export class ChatOpenAI {
  stream = async (message: string): Promise<AsyncIterable<{ content: string }>> => model.stream(message);
}
