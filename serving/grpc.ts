import {
  fromBinary,
  toBinary,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageShape,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type MethodDefinition, type ServiceDefinition } from "@grpc/grpc-js";
import { type ReflectionService } from "@grpc/reflection";

/** A method as grpc-js wants it, from the generated descriptor. */
export function methodDefinition<I extends DescMessage, O extends DescMessage>(
  method: DescMethod & { readonly input: I; readonly output: O },
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  const { input, output, methodKind } = method;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: (message) => bufferOf(toBinary(input, message)),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (message) => bufferOf(toBinary(output, message)),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
    originalName: method.localName,
  };
}

/** A service whose handlers read and write bytes themselves, so that what is wrong with a message can be told. */
export function bytesServiceDefinition(service: DescService): ServiceDefinition {
  const same = (bytes: Buffer): Buffer => bytes;
  const codec = {
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  return Object.fromEntries(
    service.methods.map((method) => [method.localName, { ...methodDefinition(method), ...codec }]),
  );
}

/** What `@grpc/reflection` reads of a package definition: the descriptors of the files and all they import. */
export function reflectionPackage(
  files: readonly DescFile[],
): ConstructorParameters<typeof ReflectionService>[0] {
  const protos = new Map<string, Buffer>();
  const walk = (file: DescFile): void => {
    if (protos.has(file.name)) return;
    for (const dependency of file.dependencies) walk(dependency);
    protos.set(file.name, bufferOf(toBinary(FileDescriptorProtoSchema, file.proto)));
  };
  for (const file of files) walk(file);
  const fileDescriptorProtos = [...protos.values()];
  return { all: { format: "Protocol Buffer 3 DescriptorProto", type: {}, fileDescriptorProtos } };
}

/** The same memory as a Buffer, without a copy. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
