"""What was heard and seen of tickets; company and devices of linked ones; when a connection is read again."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("psa", "0013_file_block"),
        migrations.swappable_dependency(settings.PSA_TENANT_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="TicketSighting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("ticket_id", models.CharField(max_length=40)),
                ("record_type", models.CharField(blank=True, max_length=10)),
                ("changes", models.PositiveIntegerField(default=0)),
                ("changed_at", models.DateTimeField(blank=True, null=True)),
                ("read_at", models.DateTimeField(blank=True, null=True)),
                ("updated_at", models.DateTimeField(blank=True, null=True)),
                ("seen", models.JSONField(blank=True, default=dict)),
                ("gone_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.AddField(
            model_name="connection",
            name="member_identifier",
            field=models.CharField(blank=True, max_length=100),
        ),
        migrations.AddField(
            model_name="connection",
            name="next_poll_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="connection",
            name="poll_cursor",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="connection",
            name="reads_not_before",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="ticketlink",
            name="company_id",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name="ticketlink",
            name="devices",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddIndex(
            model_name="ticketlink",
            index=models.Index(
                condition=models.Q(("company_id", ""), _negated=True),
                fields=["connection", "company_id"],
                name="psa_ticket_link_by_company",
            ),
        ),
        migrations.AddField(
            model_name="ticketsighting",
            name="connection",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="ticket_sightings",
                to="psa.connection",
            ),
        ),
        migrations.AddField(
            model_name="ticketsighting",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.PSA_TENANT_MODEL
            ),
        ),
        migrations.AddIndex(
            model_name="ticketsighting",
            index=models.Index(
                condition=models.Q(("changed_at__isnull", False)),
                fields=["connection", "changed_at"],
                name="psa_ticket_sighting_due",
            ),
        ),
        migrations.AddIndex(
            model_name="ticketsighting",
            index=models.Index(fields=["connection", "read_at"], name="psa_ticket_sighting_read"),
        ),
        migrations.AddConstraint(
            model_name="ticketsighting",
            constraint=models.UniqueConstraint(
                fields=("connection", "ticket_id"), name="psa_ticket_sighting_one_per_ticket"
            ),
        ),
    ]
