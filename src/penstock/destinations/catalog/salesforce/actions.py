"""The objects of Salesforce that have an action of their own, and one for all others."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.salesforce.records import Kind
from penstock.destinations.catalog.salesforce.syncing import syncer
from penstock.destinations.contract import Action, Batch, Choice, Field, FieldType

__all__ = ["ACTIONS"]

_MODES = ("add", "update", "upsert", "delete")
_INTERNAL = ("traits", "recordMatcherOperator", "bulkUpdateRecordId", "bulkUpsertExternalId")
_BATCH = Batch(200, bytes=4_000_000, on=False)
_Column = tuple[str, str, str, tuple[str, ...], FieldType]
"""Our field, the field of Salesforce, its label, where it is in an event, and its type."""


def _column(key: str, name: str, label: str, *where: str, type: FieldType = "string") -> _Column:
    return key, name, label, where, type


def _everywhere(*names: str) -> tuple[str, ...]:
    return tuple(f"{part}.{name}" for name in names for part in ("traits", "properties"))


def _address(key: str, name: str, of: str, told: bool = True) -> tuple[_Column, ...]:
    parts = (
        ("city", "City", ("city",)),
        ("postal_code", "PostalCode", ("postal_code", "postalCode")),
        ("country", "Country", ("country",)),
        ("street", "Street", ("street",)),
        ("state", "State", ("state",)),
    )
    return tuple(
        _column(
            key + part,
            name + field,
            f"{of}{part.replace('_', ' ')}".capitalize(),
            *(_everywhere(*(f"address.{each}" for each in where)) if told else ()),
        )
        for part, field, where in parts
    )


_PERSON = (
    _column("last_name", "LastName", "Last name", *_everywhere("last_name", "lastName")),
    _column("first_name", "FirstName", "First name", *_everywhere("first_name", "firstName")),
    _column("email", "Email", "E-mail", *_everywhere("email")),
    _column("phone", "Phone", "Phone", *_everywhere("phone")),
    _column("title", "Title", "Title", *_everywhere("title")),
)
_LEAD = (
    _column("company", "Company", "Company", "traits.company.name", *_everywhere("company")),
    *_PERSON,
    _column("website", "Website", "Website", *_everywhere("website")),
    *_address("", "", ""),
)
_CONTACT = (
    *_PERSON,
    _column("account_id", "AccountId", "Id of the account"),
    *_address("mailing_", "Mailing", "mailing "),
)
_ACCOUNT = (
    _column("name", "Name", "Name", "traits.name"),
    _column("account_number", "AccountNumber", "Account number", "groupId"),
    _column(
        "number_of_employees",
        "NumberOfEmployees",
        "Employees",
        *_everywhere("employees"),
        type="integer",
    ),
    *_address("billing_", "Billing", "billing "),
    *_address("shipping_", "Shipping", "shipping ", told=False),
    _column("phone", "Phone", "Phone", *_everywhere("phone")),
    _column("description", "Description", "Description", *_everywhere("description")),
    _column("website", "Website", "Website", *_everywhere("website")),
)
_OPPORTUNITY = (
    _column("close_date", "CloseDate", "Expected close"),
    _column("name", "Name", "Name"),
    _column("stage_name", "StageName", "Stage"),
    _column("amount", "Amount", "Amount"),
    _column("description", "Description", "Description"),
)
_CASE = (_column("description", "Description", "Description"),)

_WHICH = (
    Field(
        "traits",
        "Which record",
        "object",
        "For all but adding: fields of Salesforce and the values they have in the record that is "
        "meant; Id is Salesforce's own. When several records match, none is changed.",
    ),
    Field(
        "recordMatcherOperator",
        "How many must match",
        help="One of those fields, or all of them.",
        default="OR",
        choices=(Choice("OR", "One"), Choice("AND", "All")),
    ),
    Field(
        "bulkUpdateRecordId",
        "Salesforce's id of the record",
        help="Saves the search of updates and deletions; with it, they go together.",
    ),
    Field(
        "bulkUpsertExternalId",
        "Your id of the record",
        "object",
        "Saves the search of upserts; with it, they go together.",
        properties=(
            Field(
                "externalIdName",
                "Field",
                help="Marked as an external id in Salesforce, such as Shop_Id__c.",
            ),
            Field("externalIdValue", "Value"),
        ),
    ),
)
_OTHERS = Field(
    "customFields",
    "Other fields",
    "object",
    "By their names in Salesforce; own fields end in __c. A list becomes several choices; an "
    "object names a related record by its external id.",
)


def _action(
    slug: str,
    kind: str,
    columns: tuple[_Column, ...],
    needed: tuple[str, ...] = (),
    filled: Mapping[str, str] | None = None,
    on: str = "track",
) -> Action:
    fields = tuple(mapped(key, label, *where, type=type) for key, _, label, where, type in columns)
    names = {name: key for key, name, *_ in columns}
    return Action(
        slug,
        kind,
        syncer(Kind(kind, names, needed, filled or {})),
        help=f"Adds, updates, upserts or deletes a {kind.lower()}.",
        trigger=f'type = "{on}"',
        fields=(*_WHICH, *fields, _OTHERS),
        batch=_BATCH,
        sync_modes=_MODES,
        internal=_INTERNAL,
    )


ACTIONS = (
    _action(
        "lead",
        "Lead",
        _LEAD,
        needed=("LastName",),
        filled={"Company": "n/a"},
        on="identify",
    ),
    _action("contact", "Contact", _CONTACT, ("LastName",), on="identify"),
    _action("account", "Account", _ACCOUNT, ("Name",), on="group"),
    _action("opportunity", "Opportunity", _OPPORTUNITY, ("CloseDate", "Name", "StageName")),
    _action("cases", "Case", _CASE),
    Action(
        "customObject",
        "Any object",
        syncer(Kind("")),
        help="Adds, updates, upserts or deletes a record of any object, own ones too.",
        trigger='type = "track"',
        fields=(
            *_WHICH,
            Field(
                "customObjectName",
                "Object",
                help="Its name in Salesforce, such as Shop__c.",
                required=True,
            ),
            _OTHERS,
        ),
        batch=_BATCH,
        sync_modes=_MODES,
        internal=("customObjectName", *_INTERNAL),
    ),
)
