"""Small bodies of calls that change something: an object of a known form."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from service.api.conditions import read_query
from service.api.context import read_body
from service.errors import InvalidJson, InvalidRequest, UnknownField

Form = TypeVar("Form", bound=msgspec.Struct)


def read_form(form: type[Form]) -> Form:
    """Read the request's body; an empty one is an object without fields.

    Raises:
        InvalidJson: It is no JSON.
        UnknownField: It has a field the call does not know.
        InvalidRequest: A field is missing or has another type.
    """
    read_query()
    try:
        return msgspec.json.decode(read_body() or b"{}", type=form)
    except msgspec.ValidationError as error:
        text = str(error).replace("`", "'").replace("$", "body")
        fields = ", ".join(form.__struct_encode_fields__)
        cls = UnknownField if "unknown field" in text else InvalidRequest
        raise cls(
            f"the body does not have the right form: {text}. Its fields: {fields}."
        ) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidJson(
            f"the body is not JSON ({str(error)[:120]}); expected an object."
        ) from None
