// Anthropic's JavaScript client: every case prints one line of JSON, `{case, …}`.
import Anthropic from "@anthropic-ai/sdk";
import { KEY, MODEL, SCHEMA, URL, imageData, parameters, report } from "./case.mjs";

const client = new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const tools = [{ name: "get_weather", input_schema: parameters }];
const options = { model: MODEL, max_tokens: 50 };

function textOf(message) {
  return message.content.map((block) => block.text ?? "").join("");
}

await report("plain", async () => {
  const answer = await client.messages.create({ ...options, messages });
  return { text: textOf(answer), usage: answer.usage.input_tokens + answer.usage.output_tokens };
});

await report("streamed", async () => {
  const answer = await client.messages.stream({ ...options, messages }).finalMessage();
  return { text: textOf(answer), usage: answer.usage.input_tokens + answer.usage.output_tokens };
});

await report("tools", async () => {
  const asked = await client.messages.stream({ ...options, messages, tools }).finalMessage();
  const uses = asked.content.filter((block) => block.type === "tool_use");
  const results = uses.map((use) => ({
    type: "tool_result",
    tool_use_id: use.id,
    content: "sunny",
  }));
  const turns = [
    ...messages,
    { role: "assistant", content: asked.content },
    { role: "user", content: results },
  ];
  const answer = await client.messages.create({ ...options, messages: turns, tools });
  return { cities: uses.map((use) => use.input.city), text: textOf(answer) };
});

await report("structure", async () => {
  const answer = await client.messages.create({
    ...options,
    messages,
    output_config: { format: { type: "json_schema", schema: SCHEMA } },
  });
  return JSON.parse(textOf(answer));
});

await report("image", async () => {
  const source = { type: "base64", media_type: "image/png", data: imageData };
  const content = [
    { type: "image", source },
    { type: "text", text: "What is it?" },
  ];
  const turns = [{ role: "user", content }];
  return { text: textOf(await client.messages.create({ ...options, messages: turns })) };
});

await report("error", async () => {
  await client.messages.create({ ...options, messages });
});

await report("stop", async () => {
  const answer = await client.messages.create({ ...options, messages });
  return { reason: answer.stop_reason };
});

await report("broken", async () => {
  await client.messages.stream({ ...options, messages }).finalMessage();
});

await report("left", async () => {
  const stream = await client.messages.create({ ...options, messages, stream: true });
  for await (const event of stream) {
    if (event.type === "content_block_delta") return { text: typeof event.delta };
  }
});
